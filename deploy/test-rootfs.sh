#!/bin/sh
# Does what the Dockerfile says without a container engine: its stages are root file systems made by debootstrap, and the
# image's user refreshes the sample clubs twice in the outcome, which is read-only but for the volumes. Run as root by
# `make image-rootfs`; prints the image's size. PIP_* variables and /etc/pip.conf are handed in, as a build secret would be.
set -eu

repository=$(realpath "$(dirname "$0")/..")
dockerfile=$repository/deploy/Dockerfile
folder=$repository/data/local/image-rootfs

unset PIP_FIND_LINKS  # a folder of this machine

main() {
    command -v debootstrap >/dev/null || { echo "debootstrap is not installed" >&2; exit 1; }
    trap 'rm -rf --one-file-system "$folder"' EXIT
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    # Mounts and processes of the namespaces end with this one command, whatever happens in it.
    unshare --mount --pid --fork --kill-child "$0" inside
}

build_image() {
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
    debootstrap --variant=minbase bookworm "$folder/build" "${mirror:?no mirror of bookworm in /etc/apt}" >"$folder/log"
    cp -a "$folder/build" "$folder/image"

    mount_kernel "$folder/build"
    mkdir "$folder/build/source"
    # shellcheck disable=SC2046  one word per path
    (cd "$repository" && tar --exclude=__pycache__ -cf - $(sed -n 's/^!//p' "$dockerfile.dockerignore")) |
        tar -xf - -C "$folder/build/source"
    run_step "$folder/build" /source/deploy/install-system.sh python3-venv
    run_step "$folder/build" /source/deploy/install-application.sh /source

    mount_kernel "$folder/image"
    cp "$repository/deploy/install-system.sh" "$folder/image/tmp"
    run_step "$folder/image" /tmp/install-system.sh
    rm "$folder/image/tmp/install-system.sh"
    cp -a "$folder/build/opt/crm-pipeline" "$folder/image/opt"
    du --human-readable --summarize --one-file-system "$folder/image"
}

mount_kernel() {
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
}

# With what reaching the registries needs here; a step before may have replaced a file of it.
run_step() {
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf "${PIP_CERT:-}"; do
        [ ! -f "$file" ] || cp --parents --dereference "$file" "$1"
    done
    chroot "$@"
}

# Everything but the volumes and /tmp is read-only, as compose.yaml has it.
protect_image() {
    mount --bind "$folder/image" "$folder/image"
    mount -o remount,bind,ro "$folder/image"
    mount_kernel "$folder/image"
    mount -t tmpfs tmpfs "$folder/image/tmp"
    for volume in home lake; do
        cp -a "$folder/image/srv/crm/$volume" "$folder/$volume"
        mount --bind "$folder/$volume" "$folder/image/srv/crm/$volume"
    done
    mount --bind "$repository/data/sample" "$folder/image/mnt"
}

run_as_user() {
    # shellcheck disable=SC2046  one word per variable
    chroot --userspec="$(sed -n 's/^USER //p' "$dockerfile")" "$folder/image" \
        /usr/bin/env --ignore-environment --chdir="$(sed -n 's/^WORKDIR //p' "$dockerfile")" HOME=/srv/crm/home \
        $(sed -n 's/^ENV //p' "$dockerfile") "$@"
}

# The image's own command, until its own health check passes.
serve_code() {
    # shellcheck disable=SC2046  one word per argument
    run_as_user $(read_command "") &
    server=$!
    # shellcheck disable=SC2046
    until run_as_user $(read_command "    ") >/dev/null 2>&1; do
        kill -0 "$server"
        sleep 2
    done
    echo "The code server is healthy"
}

read_command() {
    sed -n "s/^$1CMD //p" "$dockerfile" | tr -d '[]",'
}

case ${1:-} in
"") main ;;
inside)
    build_image
    protect_image
    run_as_user crm-pipeline run --sources /mnt
    run_as_user crm-pipeline run --sources /mnt | tee "$folder/second"
    grep --quiet "Nothing changed" "$folder/second"
    serve_code
    ;;
esac
