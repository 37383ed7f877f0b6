# One image for every process; docker-compose.yml says which one a container is.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --require-hashes -r requirements.txt

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /srv/helpdesk helpdesk \
    && install -d -o helpdesk -g helpdesk -m 750 /var/lib/helpdesk /var/lib/helpdesk/files /run/helpdesk
COPY --from=build /venv /venv
WORKDIR /srv/helpdesk
COPY . .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/var/lib/helpdesk STATIC_ROOT=/srv/helpdesk/staticfiles PARSER_SOCKET=/run/helpdesk/parser.sock
RUN SECRET_KEY=only-while-the-image-is-built-and-never-afterwards \
    sh -c 'python manage.py compile_words && python manage.py collectstatic --no-input'
USER helpdesk
EXPOSE 8000
