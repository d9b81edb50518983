# rgwlens in a container: by default a probe of S3 with /metrics on port 9102 (docs/probe.md). With a configuration at
# /etc/rgwlens/rgwlens.toml and the log mounted, the daemon of a gateway.
FROM rust:1.95-slim-trixie AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:trixie-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* && \
    install -d -o 65532 -g 65532 -m 0750 /var/lib/rgwlens
COPY --from=build /src/target/release/rgwlens /usr/bin/rgwlens
COPY examples/container.toml /etc/rgwlens/rgwlens.toml
USER 65532:65532
EXPOSE 9102
ENTRYPOINT ["/usr/bin/rgwlens"]
CMD ["run"]
