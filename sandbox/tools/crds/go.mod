module synapse-platform.invalid/sandbox/crds

go 1.26

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/cloudnative-pg/cloudnative-pg v1.30.1
	github.com/cloudnative-pg/plugin-barman-cloud v0.14.0
	github.com/envoyproxy/gateway v1.9.1
	github.com/prometheus-operator/prometheus-operator v0.94.0
	go.universe.tf/metallb v0.16.2
	sigs.k8s.io/gateway-api v1.6.1
)
