# Tocsin's image: what uv.lock pins, nothing else; runs as nobody in particular; only /data is written to.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
COPY pyproject.toml uv.lock ./
RUN python -m venv /uv \
    && /uv/bin/pip install --no-cache-dir "uv==$(sed -n '/^name = "uv"$/{n;s/version = "\(.*\)"/\1/p;}' uv.lock)" \
    && /uv/bin/uv sync --locked --no-default-groups --no-install-project
COPY . .
RUN /uv/bin/uv sync --locked --no-default-groups

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data tocsin && install -d -o tocsin -g tocsin /data
WORKDIR /app
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 TOCSIN_HOST=0.0.0.0 TOCSIN_PORT=8000 TOCSIN_DATA_DIR=/data
USER tocsin
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# It listens to other machines, so `docker run` must say TOCSIN_TLS=generate (or the like), as its refusal explains.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as u; e = os.environ; tls = e.get('TOCSIN_TLS') or e.get('TOCSIN_TLS_CERTIFICATE'); u.urlopen(('https' if tls else 'http') + '://127.0.0.1:' + e['TOCSIN_PORT'] + '/readyz', timeout=2, context=ssl._create_unverified_context() if tls else None)"]
ENTRYPOINT ["tocsin"]
CMD ["serve"]
