# A target per binary: docker build --target order-service .
# Nothing here is bound to a platform: --platform linux/arm64 works as well.

# Where the binaries come from: `build`, or `prebuilt` for those of target/image on the host.
ARG BINARIES=build

FROM rust:1.95-bookworm AS chef
# The images that run have no zlib.
ENV CARGO_TERM_COLOR=never LIBZ_SYS_STATIC=1
RUN cargo install --locked --version 0.1.73 cargo-chef
# Pages of arm64 kernels may have 64 KiB, which jemalloc has to know when it is built.
RUN [ "$(uname -m)" != aarch64 ] \
    || printf '[env]\nJEMALLOC_SYS_WITH_LG_PAGE = "16"\n' >> "$CARGO_HOME/config.toml"
WORKDIR /src

FROM chef AS plan
COPY . .
RUN cargo chef prepare

FROM chef AS build
COPY --from=plan /src/recipe.json .
# The dependencies: built again only when Cargo.lock or a Cargo.toml changes.
RUN cargo chef cook --locked --release --features tls --workspace
COPY . .
RUN cargo build --locked --release --features tls --workspace \
        --bin order-service --bin catalog-service --bin connect-worker --bin console --bin verify \
    && mkdir -p /out/bin /out/lib \
    && mv target/release/order-service target/release/catalog-service \
          target/release/connect-worker target/release/console target/release/verify /out/bin/

FROM scratch AS prebuilt
COPY target/image/ /out/

FROM ${BINARIES} AS binaries

# glibc, OpenSSL, certificates, time zones; no shell. Its user is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot AS base
COPY --from=binaries /out/lib/ /usr/lib/
ARG VERSION=0.1.0
LABEL org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.licenses=Apache-2.0

# Unhealthy after a minute: a dependency may be restarted meanwhile.

FROM base AS order-service
LABEL org.opencontainers.image.title=order-service \
      org.opencontainers.image.description="Takes orders over HTTP and writes nothing but Kafka records."
COPY --from=binaries /out/bin/order-service /usr/local/bin/
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=12 CMD ["order-service", "--health"]
ENTRYPOINT ["order-service"]

FROM base AS catalog-service
LABEL org.opencontainers.image.title=catalog-service \
      org.opencontainers.image.description="Turns the quantity deltas of orders into stock."
COPY --from=binaries /out/bin/catalog-service /usr/local/bin/
EXPOSE 8082
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=12 CMD ["catalog-service", "--health"]
ENTRYPOINT ["catalog-service"]

FROM base AS connect-worker
LABEL org.opencontainers.image.title=connect-worker \
      org.opencontainers.image.description="Kafka Connect's JDBC sink, source and REST API in one small process."
COPY --from=binaries /out/bin/connect-worker /usr/local/bin/
EXPOSE 8083
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=12 CMD ["connect-worker", "--health"]
ENTRYPOINT ["connect-worker"]

FROM base AS console
LABEL org.opencontainers.image.title=console \
      org.opencontainers.image.description="A web page that shows in one glance whether a pair is right and fast."
COPY --from=binaries /out/bin/console /usr/local/bin/
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=12 CMD ["console", "--health"]
ENTRYPOINT ["console"]

FROM base AS verify
LABEL org.opencontainers.image.title=verify \
      org.opencontainers.image.description="Proves that a pair has lost, doubled or oversold nothing."
COPY --from=binaries /out/bin/verify /usr/local/bin/
ENTRYPOINT ["verify"]
