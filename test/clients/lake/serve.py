"""Reads and writes Delta tables with a client that Millrace did not write:
serve.py delta-rs | spark. Takes a line of JSON per call on its standard input,
{"call": NAME, "args": {...}}, and answers each with a line on its standard output,
{"result": ...} or {"error": TEXT, "kind": CLASS}. It ends with its input. A process
that lives for many calls, as Spark takes ten seconds to start."""

import json
import os
import sys
import traceback

# What else is printed, by the Java machine too, goes where errors go.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def client(name):
    if name == "delta-rs":
        import delta_rs

        return delta_rs
    if name == "spark":
        import spark

        return spark
    sys.exit(f"no client is called {name}")


def answer(calls, line):
    request = json.loads(line)
    try:
        return {"result": calls[request["call"]](**request.get("args", {}))}
    except Exception as err:  # whatever a client says is what the test looks at
        traceback.print_exc()
        return {"error": str(err), "kind": type(err).__name__}


def main():
    calls = client(sys.argv[1]).calls
    for line in sys.stdin:
        print(json.dumps(answer(calls, line)), file=answers, flush=True)


main()
