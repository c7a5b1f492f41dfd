# VM Lab as one container: `make image`, then for instance
#   podman run --read-only --tmpfs /tmp --cap-drop all -v vmlab:/var/lib/vmlab -p 8000:8000 vmlab

# The Linux that lessons run as `program: linux`, from the Debian release that has its kernel source.
FROM debian:bookworm-slim AS guests
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends bc bison flex gcc gcc-riscv64-linux-gnu libc6-dev make python3 xz-utils
WORKDIR /src
COPY app app
COPY emulator emulator
RUN VMLAB_CACHE=/tmp/cache python3 -m app.cli guests build linux --out /guests

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/vmlab \
    && /opt/vmlab/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY . .
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
    && /opt/vmlab/bin/pip install --no-cache-dir --no-deps /wheel/*.whl
# Kernels compiled for a pinned CPU run on every machine of the architecture, so the image ships warm.
ENV NUMBA_CPU_NAME=generic VMLAB_CACHE=/opt/vmlab/cache
COPY --from=guests /guests /opt/vmlab/cache/guests
RUN /opt/vmlab/bin/vmlab warm && chmod -R a+rX /opt/vmlab

FROM python:3.13-slim
RUN useradd --uid 10001 --home-dir /var/lib/vmlab --create-home vmlab
COPY --from=build /opt/vmlab /opt/vmlab
ENV NUMBA_CPU_NAME=generic \
    PATH=/opt/vmlab/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VMLAB_CACHE=/opt/vmlab/cache \
    VMLAB_DATA=/var/lib/vmlab
USER 10001
WORKDIR /var/lib/vmlab
VOLUME /var/lib/vmlab
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["vmlab", "serve", "--host", "0.0.0.0", "--port", "8000"]
