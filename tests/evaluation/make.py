"""Little corpora and traces, written where a test wants them."""

import gzip
import json
from pathlib import Path

WINDOWS = "client,window_start_s,rate_rps,cv,dist,param1,param2"


def line(text="Say hello.", **fields):
    """One record as a line, without its end."""
    return json.dumps({"source": "benign_x", "role_mix": "benign", "messages": [{"role": "user", "content": text}]} | fields)


def corpus(directory: Path, **files) -> Path:
    """Each file's lines, joined by \\n alone; a name that ends in _gz is compressed."""
    directory.mkdir(exist_ok=True)
    for name, lines in files.items():
        data = "".join(f"{each}\n" for each in lines).encode()
        if name.endswith("_gz"):
            (directory / f"{name.removesuffix('_gz')}.jsonl.gz").write_bytes(gzip.compress(data))
        else:
            (directory / f"{name}.jsonl").write_bytes(data)
    return directory


def traces(directory: Path, *, rate_rps=2.0, cv=1.0, dist="Gamma", sizes=True) -> Path:
    """One client with a day of windows, and a log of requests."""
    directory.mkdir(exist_ok=True)
    rows = [f"c/0,{start},{rate_rps},{cv},{dist},1,1" for start in range(0, 86_400, 600)]
    (directory / "clients.csv").write_text("\n".join((WINDOWS, *rows)) + "\n")
    if sizes:
        log = [f"{n}.5,100,{50 + n % 100}" for n in range(500)]
        (directory / "log.csv").write_text("\n".join(("timestamp_s,input_tokens,output_tokens", *log)) + "\n")
    return directory
