// The official Kubernetes provider, started from its own Go module.
//
// The provider is published as a Go module without the two generated files that its own main embeds, so this main embeds
// the module's source copies instead. The sandbox puts them next to this file before it builds (see sandbox/toolchain.py).
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is what the provider reports; it equals the version of the Python SDK that talks to it.
var version = "0.0.0"

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

func main() {
	provider.Serve("kubernetes", version, schema, terraformMapping)
}
