#!/bin/sh
# Takes out of code-server what a workspace does not need; runs once, during the build.
set -eu

code=/opt/code-server/lib/vscode
modules=$code/node_modules

# In a terminal, "code FILE" opens it. Login shells have a PATH of their own.
ln -s "$code/bin/remote-cli/code-linux.sh" /usr/local/bin/code
# Its commands look for Node.js here. Symbols for debugging it are a sixth of it.
strip -o /opt/code-server/lib/node /build/node/bin/node

case $(uname -m) in
aarch64) machine=arm64 ;;
*) machine=x64 ;;
esac
# others FOLDER: what is for other systems and processors.
others() {
	find "$1" -mindepth 1 -maxdepth 1 ! -name "linux-$machine" -exec rm -r {} +
}
others "$modules/@vscode/ripgrep-universal/bin"
others "$modules/node-pty/prebuilds"
rm -r "$modules"/@vscode/windows-* "$modules"/@parcel/watcher-*-musl "$code"/bin/*/*darwin* "$code"/bin/*/*.cmd

# Agents that work for GitHub's services: a third of all, and of no use without an account there.
# The settings turn off the buttons for them.
rm -r "$code/extensions/copilot" "$modules"/@github "$modules"/@microsoft/mxc-sdk "$modules"/@vscode/copilot-api \
	"$modules"/@vscode/sandbox-runtime "$modules"/@vscode/sqlite3 "$modules"/@devcontainers "$modules"/ssh2 \
	"$modules"/cpu-features "$modules"/kerberos

# What native modules were compiled from, and what only developers of code-server read.
rm -r "$modules"/node-pty/third_party "$modules"/@vscode/spdlog/deps
find /opt/code-server -path '*/build/Release/obj.target' -prune -exec rm -r {} +
find /opt/code-server -path "$code/extensions" -prune -o -type f \
	\( -name '*.map' -o -name '*.md' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.c' -o -name '*.cc' -o -name '*.h' \) \
	-exec rm {} +

# --disable-telemetry reaches the server, but not the page and the extensions that come along: they
# would still try to send. They believe what the product says of itself, each in a copy of its own.
sed -i 's/"enableTelemetry": true/"enableTelemetry": false/' "$code/product.json"
grep -q '"enableTelemetry": false' "$code/product.json"
copies=$(grep -rl --include='*.js' 'enableTelemetry:!0' "$code/out")
for file in $copies; do
	sed -i 's/enableTelemetry:!0/enableTelemetry:!1/g' "$file"
done
