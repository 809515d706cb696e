"""Who asks, for Schemathesis: WHO is nobody, guest, customer or operator; OPERATOR_TOKEN the last one's token."""

import os
import uuid

import requests
import schemathesis

API = os.environ["API"]
WHO = os.environ["WHO"]


def post(path, body):
    return requests.post(API + path, json=body, timeout=10)


class Token:
    """The token that each request shows."""

    def __init__(self):
        self.token = os.environ.get("OPERATOR_TOKEN") if WHO == "operator" else None
        self.credentials = {}
        if WHO == "customer":
            self.credentials = {"email": f"{uuid.uuid4()}@example.com", "password": "correct horse"}
            post("/v1/users", self.credentials).raise_for_status()

    def is_alive(self):
        shown = {"Authorization": f"Bearer {self.token}"}
        return requests.get(f"{API}/v1/sessions/current", headers=shown, timeout=10).status_code == 200

    def get(self, case, context):
        """A session that an earlier request has ended is replaced; the operator's token is none."""
        if self.token is None or (WHO != "operator" and not self.is_alive()):
            started = post("/v1/sessions", self.credentials)
            started.raise_for_status()
            self.token = started.json()["token"]
        return self.token

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


if WHO != "nobody":
    schemathesis.auth(refresh_interval=None)(Token)
