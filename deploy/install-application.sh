#!/bin/sh
# Creates /opt/crm-pipeline from a source folder: what requirements.lock pins, the wheel, and the folder for DAGSTER_HOME.
set -eu

source=$1
application=/opt/crm-pipeline
tools=$(mktemp --directory)

python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --no-deps --require-hashes --requirement "$source/deploy/build.lock"
(cd "$source" && "$tools/bin/hatchling" build --target wheel --directory "$tools/dist")

# pip stays outside: whoever breaks into a process finds nothing to install more with.
python3 -m venv --without-pip "$application"
install_packages() {
    "$tools/bin/pip" --python "$application/bin/python" install --quiet --no-deps --only-binary=:all: "$@"
}
install_packages --require-hashes --requirement "$source/deploy/requirements.lock"
install_packages --no-index "$tools"/dist/*.whl

mkdir "$application/dagster"
cp "$application"/lib/python3*/site-packages/crm_pipeline/resources/dagster_storage/dagster.yaml \
    "$source/deploy/workspace.yaml" "$application/dagster"
rm -rf "$tools"
