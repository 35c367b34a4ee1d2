"""A sensor client in Python: readings in batches, a deadline on every call, a retry policy in the service
config, and a loop around it for outages that outlast the policy.

    python client.py <host:port> <readings>
"""

import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "generated"))

import grpc
from sensor.v1 import sensor_pb2, sensor_pb2_grpc

# What the library retries by itself. It waits as long as the daemon says (grpc-retry-pushback-ms) and gives
# up when the daemon says never (-1). Five attempts are the most it allows.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "sensor.v1.SensorService"}],
            "waitForReady": True,
            "timeout": "10s",
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}

CHANNEL_OPTIONS = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]

READINGS_PER_REQUEST = 100

REPEATABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


def reading(number):
    value = sensor_pb2.SensorValue(sensor_name="python-1", labels={"client": "python"})
    value.measurement.sensor_value.value = number
    value.measurement.created_at.GetCurrentTime()
    return value


def worth_repeating(error):
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-retry-pushback-ms" and str(value).startswith("-"):
            return False
    return error.code() in REPEATABLE


def deliver(stub, request):
    """Repeats a request until it is acknowledged or can never be."""
    while True:
        try:
            stub.SendSensorValues(request, timeout=10)
            return
        except grpc.RpcError as error:
            if not worth_repeating(error):
                raise
            print(f"will try again: {error.code().name}: {error.details()}", file=sys.stderr)
            time.sleep(1)


def open_channel(target):
    """SINK_TLS_CA, SINK_TLS_CERT and SINK_TLS_KEY name PEM files: the authority to trust, and for mutual TLS a
    certificate and its key. Without them it speaks plaintext."""
    if "SINK_TLS_CA" not in os.environ:
        return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials(pem("SINK_TLS_CA"), pem("SINK_TLS_KEY"), pem("SINK_TLS_CERT"))
    return grpc.secure_channel(target, credentials, options=CHANNEL_OPTIONS)


def pem(variable):
    path = os.environ.get(variable)
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: client.py <host:port> <readings>")
    count = int(sys.argv[2])
    with open_channel(sys.argv[1]) as channel:
        stub = sensor_pb2_grpc.SensorServiceStub(channel)
        for first in range(1, count + 1, READINGS_PER_REQUEST):
            last = min(first + READINGS_PER_REQUEST - 1, count)
            request = sensor_pb2.SensorValuesRequest(items=[reading(n) for n in range(first, last + 1)])
            try:
                deliver(stub, request)
            except grpc.RpcError as error:
                sys.exit(
                    f"readings from {first} on were not delivered: {error.code().name}: {error.details()}"
                )
    print(f"python: {count} readings acknowledged")


if __name__ == "__main__":
    main()
