"""Asks the server below its base URL, which is in the file that it writes when it starts."""

import glob
import json
import os
import urllib.request

servers = glob.glob(os.environ["HOME"] + "/.local/share/jupyter/runtime/jpserver-*.json")
with open(max(servers, key=os.path.getmtime)) as file:
    server = json.load(file)
urllib.request.urlopen(f"http://127.0.0.1:{server['port']}{server['base_url']}api", timeout=2)
