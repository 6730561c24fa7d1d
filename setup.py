from setuptools import setup  # for installers that do not read pyproject.toml

setup()
