# Builds gfpd with Swift's libraries inside the binary, and runs it without a shell's or a root
# user's help. It serves beyond the loopback, and wants to be told who is let in, or that all are:
# docker run -p 127.0.0.1:8080:8080 -v gfpd:/data -e GFPD_INSECURE=true --read-only IMAGE
FROM swift:6.3-bookworm AS build
RUN apt-get update -q \
    && apt-get install -q -y --no-install-recommends \
        libexpat1-dev libsqlite3-dev libssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN swift build -c release --product gfpd --static-swift-stdlib \
    && install -D -s .build/release/gfpd /image/gfpd \
    && install -d -m 0750 /image/data

FROM debian:bookworm-slim
RUN apt-get update -q \
    && apt-get install -q -y --no-install-recommends libexpat1 libsqlite3-0 libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /image/gfpd /usr/local/bin/gfpd
COPY --from=build --chown=65532:65532 /image/data /data
USER 65532:65532
ENV GFPD_HOST=0.0.0.0 GFPD_DATA=/data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["gfpd", "healthcheck"]
ENTRYPOINT ["gfpd"]
CMD ["serve"]
