# The image of telemetry-sink. Plain instructions only (no BuildKit extensions), so that any builder takes it;
# scripts/check-image.ts runs every one of them in the CI without a container engine.

ARG NODE_IMAGE=node:24-bookworm-slim

# --- build: TypeScript to dist/ -------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: the only one we need on a developer's machine fetches a Node, and here the image is one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY proto ./proto
COPY scripts ./scripts
COPY bin ./bin
COPY src ./src
RUN npm run build

# --- dependencies: what the daemon itself needs ---------------------------------------------------------
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# --- the image ------------------------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS image
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="telemetry-sink" \
      org.opencontainers.image.description="High-throughput gRPC telemetry ingest daemon" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY proto ./proto
COPY bin ./bin
# The command is on the PATH for `docker exec` and `kubectl exec`. The data folder belongs to the user below, and
# a new named volume takes over its owner and mode; everything else stays root's, so the daemon cannot change it, and
# readable, whatever the umask of the checkout was.
RUN chmod -R a+rX bin proto package.json LICENSE \
 && ln -s /app/bin/telemetry-sink.js /usr/local/bin/telemetry-sink \
 && mkdir -p /app/data \
 && chown 10001:10001 /app/data \
 && chmod 0750 /app/data
# ALLOW_PLAINTEXT and ALLOW_OPEN_ADMIN are deliberate and visible: the listeners below answer beyond loopback, and
# until TLS, TOKENS_FILE or ADMIN_TOKEN_FILE are set they ask nobody who he is. What may reach them is decided by the network around the container. HOME exists because the uid has no account.
ENV NODE_ENV=production \
    HOME=/tmp \
    FILE_PATH=/app/data \
    GRPC_SERVER_SOCKET=0.0.0.0:50051 \
    ADMIN_SOCKET=0.0.0.0:9464 \
    ALLOW_PLAINTEXT=true \
    ALLOW_OPEN_ADMIN=true \
    LOG_FORMAT=json
# A number, so that Kubernetes can see that it is not root; above 10000, so that it meets no account of the host.
USER 10001:10001
VOLUME ["/app/data"]
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["telemetry-sink", "health"]
# Exec form: node is process 1, handles SIGTERM itself and starts no children, so there is nothing to reap.
ENTRYPOINT ["node", "/app/bin/telemetry-sink.js"]
CMD ["serve"]
