# Gauger alone: the store is another container (see deploy/compose.yaml), or the embedded one on the volume.
#   docker build -t gauger .
#   docker run -p 127.0.0.1:8080:8080 -e GAUGER_SECRET -e UPSTREAM_API_KEY -e GAUGER_UPSTREAM=https://... \
#     -v ./policies:/etc/gauger/policies:ro -v gauger-data:/var/lib/gauger gauger

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY deploy/runtime.lock ./
RUN python -m venv /opt/gauger && /opt/gauger/bin/pip install --require-hashes --requirement runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
# Nothing that installs or builds is left behind.
RUN /opt/gauger/bin/pip install --no-deps --no-build-isolation . \
    && /opt/gauger/bin/pip uninstall --yes setuptools pip \
    && /opt/gauger/bin/gauger --help

FROM python:3.13-slim
COPY --from=build /opt/gauger /opt/gauger
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin gauger \
    && install --directory --owner gauger --group gauger --mode 0700 /var/lib/gauger
ENV PATH=/opt/gauger/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GAUGER_LISTEN=0.0.0.0:8080 \
    GAUGER_POLICIES=/etc/gauger/policies \
    GAUGER_DATA=/var/lib/gauger
USER 10001:10001
WORKDIR /var/lib/gauger
VOLUME /var/lib/gauger
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['GAUGER_LISTEN'].rpartition(':')[2] + '/healthz', timeout=2)"]
ENTRYPOINT ["gauger"]
CMD ["serve"]
