# A static binary on an empty base. Build: docker build -t seawall:0.1.0 .
FROM rust:1.95.0-alpine AS build
# ring compiles C
RUN apk add --no-cache musl-dev gcc make perl
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.toml build.rs ./
# named in Cargo.toml, so it must be there; not built
COPY benches benches
COPY src src
# the policies are embedded in the binary
COPY policies policies
# no rustfmt, clippy and test targets needed here; the musl target links everything statically
RUN rm rust-toolchain.toml && cargo build --release --locked --bin seawall

FROM scratch
COPY --from=build /src/target/release/seawall /seawall
# a number, so that runAsNonRoot can be checked without a user database
USER 65532:65532
EXPOSE 8443 9443
ENTRYPOINT ["/seawall"]
CMD ["serve"]
