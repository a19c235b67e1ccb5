package main

import "millrace/ui/cli"

// stages wires the commands to what they start.
func stages() cli.Stages { return cli.Stages{} }
