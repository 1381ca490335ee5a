# Sets PYTHON, unless it names one already, to the Python of a virtual
# environment in .cache/NAME with the packages of a requirements file; made on
# first use: . bench/python.sh NAME REQUIREMENTS.
if [ -z "${PYTHON:-}" ]; then
	PYTHON=.cache/$1/bin/python
	if [ ! -e ".cache/$1/complete" ]; then
		python3 -m venv ".cache/$1"
		"$PYTHON" -m pip install -q -r "$2"
		touch ".cache/$1/complete"
	fi
fi
