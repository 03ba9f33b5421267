# guardpanel with HAProxy and the WAF agent in one image: `docker build -t guardpanel .`, then deploy/compose.yaml.
# The base images are arguments, so that a mirror's or one's own can be named.
ARG GO_IMAGE=golang:1.26-bookworm
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${GO_IMAGE} AS agent
WORKDIR /src
COPY spoa/go.mod spoa/go.sum ./
RUN go mod download
COPY spoa/ ./
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags=coraza.rule.case_sensitive_args_keys -o /guardpanel-spoa .

# The wheels of exactly what is locked, and guardpanel's own; nothing of this stage but /venv is kept.
FROM ${PYTHON_IMAGE} AS python
WORKDIR /src
RUN python3 -m venv /venv
COPY requirements.lock tools/build.lock ./
RUN /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
    && python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --no-deps --require-hashes -r build.lock
COPY pyproject.toml README.md LICENSE CHANGELOG.md openapi.json ./
COPY guardpanel/ guardpanel/
COPY config_templates/ config_templates/
RUN /build/bin/hatchling build -t wheel -d /wheel \
    && /venv/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl \
    && /venv/bin/python -c 'from guardpanel.views.answers import compile_templates; compile_templates()'

FROM ${PYTHON_IMAGE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends haproxy ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin guardpanel \
    && install -d -o guardpanel -g guardpanel -m 0700 /data
COPY --from=agent /guardpanel-spoa /usr/local/bin/guardpanel-spoa
COPY --from=python /venv /venv
ENV PATH=/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin \
    PYTHONUNBUFFERED=1 \
    GUARDPANEL_DATA_DIR=/data \
    GUARDPANEL_LISTEN=0.0.0.0:8000 \
    GUARDPANEL_HTTP_BIND=0.0.0.0:8080 \
    GUARDPANEL_HTTPS_BIND=0.0.0.0:8443 \
    GUARDPANEL_HAPROXY_BIN=/usr/sbin/haproxy \
    GUARDPANEL_AGENT_BIN=/usr/local/bin/guardpanel-spoa
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000 8080 8443 8443/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["guardpanel", "health"]
CMD ["guardpanel", "up"]
