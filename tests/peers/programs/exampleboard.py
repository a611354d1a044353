"""Runs an example of the documents with another configuration: ``main(["", EXAMPLE, "config.json", MORE…])``."""

import asyncio
import json


def main(argv):
    with open(argv[2]) as file:
        config = json.load(file)
    asyncio.run(__import__(argv[1]).main(config, *argv[3:]))
