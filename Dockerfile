FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY graphwire graphwire
COPY app app
COPY alembic alembic
RUN python -m venv /opt/graphwire \
    && /opt/graphwire/bin/pip install --no-cache-dir --disable-pip-version-check '.[postgresql]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/graphwire graphwire \
    && mkdir /var/lib/graphwire/data \
    && chown graphwire /var/lib/graphwire/data
COPY --from=build /opt/graphwire /opt/graphwire
COPY examples /usr/share/graphwire/examples
ENV PATH=/opt/graphwire/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRAPHWIRE_HOST=0.0.0.0 \
    GRAPHWIRE_PORT=8000 \
    GRAPHWIRE_GRAPHS=/usr/share/graphwire/examples \
    GRAPHWIRE_DATABASE_URL=sqlite:////var/lib/graphwire/data/graphwire.db
# By number, so that a cluster can see that it is not root.
USER 10001
WORKDIR /var/lib/graphwire
VOLUME /var/lib/graphwire/data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['GRAPHWIRE_PORT']}/health/ready\", timeout=4)"]
CMD ["graphwire", "serve"]
