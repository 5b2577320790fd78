# A static binary and the certificates it trusts, run by nobody.
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /loyalty ./cmd/loyalty && mkdir /history

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /loyalty /loyalty
# A volume for LOYALTY_HISTORY takes its owner from here.
COPY --from=build --chown=65532:65532 /history /history
USER 65532:65532
EXPOSE 8080 9090
ENTRYPOINT ["/loyalty"]
