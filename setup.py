"""Packages of the wheel: the three import packages, and conf/ as data under `forecast.conf`."""

from pathlib import Path

from setuptools import find_packages, setup

groups = sorted(p.name for p in Path("conf").iterdir() if p.is_dir())
conf = ["forecast.conf", *(f"forecast.conf.{name}" for name in groups)]
setup(
    packages=[*find_packages(include=["forecast*", "models*", "pipelines*"]), *conf],
    package_dir={"forecast.conf": "conf"},
    package_data={name: ["*.yaml"] for name in conf},
)
