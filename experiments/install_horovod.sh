#!/usr/bin/env bash
# Builds Horovod for MXNet on the CPU, with Gloo, and installs it: install_horovod.sh .venv/bin/python, or make horovod
# There are no wheels of Horovod. Its build tools live in a temporary folder, and leave the environment as it is.
set -euo pipefail

version=0.28.1
sha256=92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0
root=$(cd "$(dirname "$0")/.." && pwd)
given=${1:?is missing: name the Python to install into, as .venv/bin/python}
python=$(realpath -s "$(command -v "$given")") || { echo "$given is not there" >&2; exit 1; }
pip=("$python" -m pip --disable-pip-version-check)

# gloo_built() is what horovodrun asks first, in a Python that has not imported gluon_classics.
works() {
    PYTHONPATH=$root "$python" -c "from horovod.runner.launch import gloo_built
assert gloo_built(), 'horovodrun does not find Gloo'
import gluon_classics, horovod.mxnet
assert horovod.__version__ == '$version', f'Horovod {horovod.__version__} is installed, not $version'"
}

if works 2>/dev/null; then
    echo "Horovod $version is installed already, and works"
    exit
fi
missing=$(for tool in g++ make; do command -v $tool >/dev/null || echo -n " $tool"; done)
if [ "$missing" ]; then
    echo "Building Horovod needs$missing: apt-get install$missing" >&2
    exit 1
fi
PYTHONPATH=$root "$python" -c "import gluon_classics, mxnet"  # says what to install where MXNet is missing

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
echo "Building Horovod $version, which takes some minutes"

# Horovod's setup.py wants its run-time needs at hand too; its CMake files are refused by CMake 4.
needs=(cloudpickle packaging psutil pyyaml)
"${pip[@]}" install --quiet --target "$temporary/tools" "setuptools<70" "wheel<0.46" "cmake<3.27" "${needs[@]}"
tools=(env "PYTHONPATH=$temporary/tools:$root" "HOROVOD_CMAKE=$temporary/tools/bin/cmake")
"${tools[@]}" "${pip[@]}" download --quiet --dest "$temporary" --no-deps --no-binary :all: --no-build-isolation \
    --require-hashes --requirement <(echo "horovod==$version --hash=sha256:$sha256")
tar -xf "$temporary/horovod-$version.tar.gz" -C "$temporary"
source=$temporary/horovod-$version

# MXNet 1.9.1 can be imported only after gluon_classics on today's NumPy. Here CMake asks it for its version and paths.
sed -i 's/import mxnet/import gluon_classics, mxnet/' "$source/cmake/Modules/FindMxnet.cmake"
# And here horovodrun imports it, to ask the compiled library whether it has Gloo: it loads that library instead.
ask="from horovod.common.basics import HorovodBasics; ext = HorovodBasics(__file__, '..', ext_base_name, 'mpi_lib')"
sed -i "s/ext = importlib.import_module.*/$ask/" "$source/horovod/common/util.py"
# horovodrun would take the --net of the command that it is to run for an abbreviation of a flag of its own.
sed -i "s/ArgumentParser(description='Horovod Runner'/&, allow_abbrev=False/" "$source/horovod/runner/launch.py"
# Half of its sockets would go to the address of the host's name (Debian's is 127.0.1.1), whatever --network-interfaces says.
sed -i '/::InitializeForProcessSet/,/CreateDevice/s/= gloo_iface_;/= global_context.gloo_iface_;/' \
    "$source/horovod/common/gloo/gloo_context.cc"
# Python 3.12 has no distutils any more.
sed -i 's/from distutils.spawn import find_executable/from shutil import which as find_executable/' \
    "$source/horovod/runner/js_run.py"

# Without CUDA_VISIBLE_DEVICES, gluon_classics would choose MXNet's GPU build where there is a GPU.
"${tools[@]}" CUDA_VISIBLE_DEVICES= MAKEFLAGS="-j$(nproc)" HOROVOD_WITH_MXNET=1 HOROVOD_WITHOUT_TENSORFLOW=1 \
    HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 HOROVOD_WITHOUT_NVTX=1 \
    HOROVOD_CPU_OPERATIONS=GLOO \
    "${pip[@]}" wheel --quiet --wheel-dir "$temporary" --no-deps --no-build-isolation "$source"
"${pip[@]}" install --quiet "${needs[@]}"
"${pip[@]}" install --quiet --no-deps --force-reinstall "$temporary"/horovod-*.whl
works
"$(dirname "$python")/horovodrun" --check-build
