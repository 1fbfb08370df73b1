
# Steps follow; everything above is what this instance was told.

step="start"
release="$prefix/releases/${asset_sha256:0:16}"
folder=/var/lib/towpath-install
# What daemons that run still have to be told. On the disk, for the run after one that failed half
# way finds the new link and the new files in place, and could not tell by them.
restart_due="$folder/restart-due"
settings_due="$folder/settings-due"
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" HOME="${HOME:-/root}"

say() {
    printf 'towpath-install: %s\n' "$*"
    # Tagged, for `journalctl -t towpath-install`; cloud-init keeps what is printed.
    logger --tag towpath-install -- "$*" || true
}

# What waits for a network tries five times within two minutes, then the installation has failed.
retry() {
    local attempt
    for attempt in 1 2 3 4 5; do
        if "$@"; then
            return 0
        fi
        say "attempt $attempt of 5 failed: $1"
        ((attempt == 5)) || sleep $((attempt * 10))
    done
    return 1
}

# No signal to CloudFormation: spot capacity may be away for hours, and a stack that is rolled back
# for it takes its log group along. The metric and the daemons' silence ring alarms instead.
report() {
    aws cloudwatch put-metric-data --namespace "$namespace" --metric-name install_failed \
        --dimensions "Service=$service" --value "$1" ||
        say "the metric install_failed could not be sent"
}

ended() {
    local status=$?
    trap - EXIT
    if ((status == 0)); then
        say "DONE: $service is installed and runs"
        report 0
    else
        say "FAILED at '$step' (exit status $status); mend it and run this script again"
        report 1
    fi
    exit "$status"
}
trap ended EXIT

# Puts a file in place whose text lies beside it.
replace_file() {
    local path="$1"
    if [[ $path == *.toml && -e $path && $(<"$path") != "$(<"$path.next")" ]]; then
        touch -- "$settings_due"
    fi
    mv -- "$path.next" "$path"
}

ship_logs() {
    command -v dnf >/dev/null || return 1
    retry dnf --assumeyes --quiet install amazon-cloudwatch-agent || return 1
    /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl \
        -m ec2 -a fetch-config -s -c file:/etc/towpath/cloudwatch-agent.json
}

# /usr/bin alone: a unit with ProtectHome cannot run an interpreter that lies in a home folder.
find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.13 python3; do
        if "/usr/bin/$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python="/usr/bin/$candidate"
            return 0
        fi
    done
    return 1
}

fetch_asset() {
    aws s3 cp --only-show-errors "s3://$asset_bucket/$asset_key" "$folder/asset.zip"
}

make_release() {
    local index=(--only-binary :all:)
    if [[ -d $folder/asset/wheels ]]; then
        index+=(--no-index --find-links "$folder/asset/wheels")
    fi
    rm -rf -- "$release"
    mkdir -p -- "${release%/*}"
    "$python" -m venv -- "$release"
    retry "$release/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        "${index[@]}" --require-hashes -r "$folder/asset/requirements.txt"
    "$release/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --no-index --no-deps "$folder"/asset/towpath-*.whl
    "$release/bin/towpath" --help >/dev/null
    touch -- "$release/.complete"
}

say "installing $service (asset ${asset_sha256:0:16})"

step="configuration"
install -d -m 0755 /etc/towpath
install -d -m 0700 "$folder"
write_files

step="log group"
if [[ -e /etc/towpath/cloudwatch-agent.json ]]; then
    ship_logs || say "no CloudWatch agent: logs stay in this machine's journal"
fi

step="Python 3.11 or newer"
python=""
if ! find_python && command -v dnf >/dev/null; then
    retry dnf --assumeyes --quiet install python3.11
fi
if [[ -z $python ]] && ! find_python; then
    say "/usr/bin has no Python >= 3.11 with venv; install python3.11 (and python3.11-venv)"
    exit 1
fi

step="asset"
retry fetch_asset
printf '%s  %s\n' "$asset_sha256" "$folder/asset.zip" | sha256sum --check --quiet
rm -rf -- "$folder/asset"
"$python" -m zipfile --extract "$folder/asset.zip" "$folder/asset"

step="environment"
if [[ ! -e $release/.complete ]]; then
    make_release
fi
if [[ -e $prefix/bin && ! -L $prefix/bin ]]; then
    say "$prefix/bin is there already and was not made by an installation; move it away"
    exit 1
fi
before="$(readlink -f -- "$prefix/bin" || true)"
if [[ $before == "$prefix"/releases/* && $before != "$release/bin" ]]; then
    touch -- "$restart_due"
fi
# A link is replaced in one step, so that no unit ever finds half an environment. The layout is
# that of `make install PREFIX=`: units name $prefix/bin, which leads to the release in use.
ln -sfn -- "releases/${release##*/}/bin" "$prefix/bin.next"
mv -T -- "$prefix/bin.next" "$prefix/bin"

step="units"
"$prefix/bin/towpath" units install "${unit_options[@]}" "$service"
if [[ -e $restart_due ]]; then
    # The units are the same, the program below them is not.
    systemctl try-restart towpath.target
    say "the daemons that ran are restarted"
elif [[ -e $settings_due ]]; then
    # Not waited for: a watcher finishes its CID before it takes other settings.
    systemctl try-reload-or-restart --no-block "${units[@]}"
    say "the daemons read their settings again; 'reload_done' or 'reload_refused' in the journal"
fi
rm -f -- "$restart_due" "$settings_due"
# From here on nothing runs from another release.
find "$prefix/releases" -mindepth 1 -maxdepth 1 ! -path "$release" -exec rm -rf -- {} +

step="started"
for unit in "${units[@]}"; do
    systemctl is-active --quiet "$unit" || {
        systemctl --no-pager --full status "$unit" || true
        exit 1
    }
    say "$unit is active"
done
