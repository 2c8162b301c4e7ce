#!/bin/sh
# Makes the base of our workspace images without an image registry: a small
# Debian, like the official debian:bookworm-slim, as a tar stream.
#
#   sh debian-base.sh [SUITE] > base.tar        (as root; needs debootstrap)
#   sh debian-base.sh | docker import - lab-workspace-base:bookworm
#
# The tar goes to standard output, progress to standard error: debootstrap's own
# lines ("I: Retrieving apt 2.6.1", "I: Unpacking …", "I: Configuring …").
# The manager runs this same script; it is embedded in the program.
set -eu

suite=${1:-bookworm}

complain() {
	printf '%s\n' "$*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || complain "Making a base image needs root: debootstrap unpacks system files as their owners."
command -v debootstrap >/dev/null ||
	complain "debootstrap is missing. It makes a base image without a registry: apt-get install debootstrap"

# Where this host itself gets Debian from is where it may get Debian from: many
# companies block everything but their own mirror. A host that is not a Debian
# has no such source, there debootstrap's default is right.
host_mirror() {
	command -v apt-get >/dev/null || return 0
	# shellcheck disable=SC2016 # apt fills these in, not the shell
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 == "Debian" && $3 ~ /^http:/ { sub(/\/$/, "", $3); print $3; exit }'
}

# apt's proxy is the host's proxy for packages even where no variable is set.
if [ -z "${http_proxy:-}" ]; then
	if [ -n "${HTTP_PROXY:-}" ]; then
		http_proxy=$HTTP_PROXY
	elif command -v apt-config >/dev/null; then
		eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
	fi
	[ -z "${http_proxy:-}" ] || export http_proxy
fi

# Not every TMPDIR will do: debootstrap refuses one mounted nodev or noexec.
work=$(mktemp -d "${LAB_BASE_WORKDIR:-/var/tmp}/lab-base.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
root=$work/root

mirror=$(host_mirror)
# debootstrap reports on standard output, which is the tar's here.
debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >&2

# debootstrap knows one repository; a Debian gets its fixes from two more. They
# stand beside it on Debian's own servers and on whole mirrors, so look there.
mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
offers() { wget -q -O /dev/null "$1/InRelease" 2>/dev/null; }
! offers "$mirror/dists/$suite-updates" ||
	echo "deb $mirror $suite-updates main" >>"$root/etc/apt/sources.list"
! offers "$mirror-security/dists/$suite-security" ||
	echo "deb $mirror-security $suite-security main" >>"$root/etc/apt/sources.list"

# Nobody reads manuals or foreign translations in a container: they are a third
# of a Debian this small. Licences stay. Later installs are trimmed likewise.
cat >"$root/etc/dpkg/dpkg.cfg.d/container" <<-'TRIM'
	path-exclude /usr/share/doc/*
	path-include /usr/share/doc/*/copyright
	path-exclude /usr/share/man/*
	path-exclude /usr/share/info/*
	path-exclude /usr/share/locale/*
	path-include /usr/share/locale/locale.alias
TRIM
# Services must not start while packages are installed into an image.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
# Packages are kept nowhere: each layer of an image would carry them.
cat >"$root/etc/apt/apt.conf.d/container" <<-'APT'
	Acquire::Languages "none";
	Acquire::GzipIndexes "true";
	Dir::Cache::pkgcache "";
	Dir::Cache::srcpkgcache "";
	DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
APT
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type l ! -name copyright -delete
find "$root/usr/share/doc" -depth -type d -empty -delete
rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/*/ \
	"$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root"/var/lib/apt/lists/* \
	"$root"/var/log/*.log "$root"/var/log/apt "$root"/var/lib/dpkg/*-old \
	"$root"/etc/hostname "$root"/etc/resolv.conf
: >"$root/etc/machine-id"

tar -C "$root" --numeric-owner --sort=name -c .
