# shellcheck shell=sh
# Runs in a helper container: measures /places/0, /places/1 … and prints one line for
# each: its number, bytes on disk, files, seconds of the newest change (0 = not known).
# Nothing is printed for a place that could not be read to its end.

# Adds up here, so that a million files are no million lines in a log. Of a file with
# several names one counts.
add_up() { # FOLDER NUMBER
	{
		find "$1" -ignore_readdir_race -mindepth 1 -xdev -printf '%y %n %i %b %T@\n'
		echo "end $?"
	} | awk -v number="$2" '
		$1 == "end" { status = $2; next }
		$1 != "d" && $2 > 1 && seen[$3]++ { next }
		{ blocks += $4 }
		$1 == "f" { files++; if ($5 + 0 > newest) newest = $5 + 0 }
		END {
			if (status != "0") exit 1
			printf "%s %.0f %.0f %.6f\n", number, blocks * 512, files, newest
		}'
}

# For images whose find prints no details, or without awk.
ask_du() { # FOLDER NUMBER
	size=$(du -s -k -x "$1") || return 1
	list=$(find "$1" -xdev -type f -print0 | tr -d -c '\000' | wc -c) || return 1
	echo "$2" $((${size%%[!0-9]*} * 1024)) $((list)) 0
}

number=0
while [ "$number" -lt "$1" ]; do
	add_up "/places/$number" "$number" 2>/dev/null || ask_du "/places/$number" "$number" 2>/dev/null
	number=$((number + 1))
done
