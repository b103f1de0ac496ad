"""Everyday household shapes, generated: what the stand-in reality grasps."""

from __future__ import annotations

from graspgap.objects import containers, goods, tools
from graspgap.objects.families import Kinds

EVERYDAY = Kinds(
    name="everyday",
    train={
        "bottle": containers.bottle,
        "can": containers.can,
        "mug": containers.mug,
        "jar": containers.jar,
        "carton": goods.carton,
        "soap": goods.soap,
        "marker": tools.marker,
        "screwdriver": tools.screwdriver,
        "hammer": tools.hammer,
        "apple": goods.apple,
        "banana": goods.banana,
        "lemon": goods.lemon,
        "ball": goods.ball,
        "brick": goods.brick,
        "spoon": tools.spoon,
        "cup": containers.cup,
        "flask": containers.flask,
        "aerosol": containers.aerosol,
        "bowl": containers.bowl,
        "spool": containers.spool,
        "sponge": goods.sponge,
        "bolt": tools.bolt,
        "battery": tools.battery,
        "torch": tools.torch,
    },
    unseen={
        "pear": goods.pear,
        "wrench": tools.wrench,
        "tube": containers.squeeze_tube,
        "remote": goods.remote_control,
        "duck": goods.duck,
        "bulb": containers.bulb,
        "fork": tools.fork,
    },
    counts={"train": 240, "test": 36},
    stride=5,
    scale=0.8,
)
"""Eight tenths of the size of the household things they are shaped after, so that the gripper can span most of them
however it is turned."""
