"""`python -m gateway.demo`: the demo server alone, for trying the gateway by hand. `gauger demo` starts all of it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from gateway.demo import start
from gateway.demo.script import MODELS, NAMES


async def serve(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with await start(host, port, remember=100) as handle:
        sys.stdout.write(f"demo model server on {handle.base_url}: {', '.join(MODELS)}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Exit status: 0 after a signal, 1 when the address cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.demo", description=__doc__, epilog=f"A script: {', '.join(NAMES)}."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port to listen on, 0 for any free one (default: %(default)s)")
    args = parser.parse_args()
    try:
        asyncio.run(serve(args.host, args.port))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {args.host}:{args.port}: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
