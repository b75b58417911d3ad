# One image for both processes: `signoff run operator` and `signoff run webhook`.
#
#   docker build --build-arg BASE=<your registry>/python:3.12-slim@sha256:… -t <your registry>/signoff:0.1.0 .
#
# Name a base by digest where it matters, and give the chart the image's own digest (image.digest). The dependencies come from uv.lock, each
# held by its hash; the build backend (hatchling) alone does not stand there, and does not get into the image.

ARG BASE=python:3.12-slim

FROM ${BASE} AS build
RUN pip install --no-cache-dir --disable-pip-version-check 'uv>=0.8'
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN uv export --quiet --frozen --no-dev --no-emit-project --output-file requirements.txt \
 && python -m venv /opt/signoff \
 && /opt/signoff/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.txt
COPY README.md LICENSE ./
COPY controller/ controller/
RUN uv build --quiet --wheel --out-dir /wheel \
 && /opt/signoff/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /wheel/*.whl \
 && /opt/signoff/bin/python -m compileall -q /opt/signoff/lib \
 && /opt/signoff/bin/pip uninstall --yes --quiet pip

FROM ${BASE}
COPY --from=build /opt/signoff /opt/signoff
# The image has no user of that number, and kopf wants a name for its own.
ENV PATH=/opt/signoff/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    USER=signoff \
    HOME=/tmp
USER 65532:65532
WORKDIR /
ENTRYPOINT ["signoff"]
