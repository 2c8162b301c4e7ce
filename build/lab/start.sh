#!/bin/bash
# What a container of this image does: backend, database, storage or echo.
set -euo pipefail

case ${1:-} in
backend)
	# ML Lab's own container: nginx and the backend, and it ends when one of them does.
	base=${CONTAXY_BASE_URL:-}
	sed "s|@BASE@|${base%/}|g" /lab/nginx.conf >/etc/nginx/nginx.conf
	nginx &
	gunicorn --worker-class uvicorn.workers.UvicornWorker --workers 1 --timeout 120 \
		--bind 127.0.0.1:8090 contaxy.api:app &
	wait -n
	;;
database)
	# Nothing here has to outlive a power cut.
	exec setpriv --reuid postgres --regid postgres --init-groups /usr/lib/postgresql/*/bin/postgres -D /lab/database \
		-c 'listen_addresses=*' -c max_connections=200 -c fsync=off -c synchronous_commit=off -c full_page_writes=off
	;;
storage)
	cd /lab
	exec gunicorn --worker-class gthread --workers 1 --threads 4 --bind 0.0.0.0:9000 s3:app
	;;
echo)
	exec python3 /lab/echo.py
	;;
*)
	echo "This image plays backend, database, storage or echo, not \"${1:-}\"." >&2
	exit 1
	;;
esac
