// Reads files of Kubernetes manifests and compose files strictly, with the types that Kubernetes and Compose
// themselves use: a field that does not exist, stands twice or has the wrong type is a fault. Needs no cluster and no
// downloaded schemas.
//
//	go run . rendered/*.yaml compose.yaml
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// kinds that the chart may render. ServiceMonitor is the Prometheus operator's; its type is not worth a dependency.
var kinds = map[string]func() any{
	"v1/ConfigMap":                            func() any { return &corev1.ConfigMap{} },
	"v1/Pod":                                  func() any { return &corev1.Pod{} },
	"v1/Service":                              func() any { return &corev1.Service{} },
	"v1/ServiceAccount":                       func() any { return &corev1.ServiceAccount{} },
	"apps/v1/StatefulSet":                     func() any { return &appsv1.StatefulSet{} },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return &networkingv1.NetworkPolicy{} },
	"policy/v1/PodDisruptionBudget":           func() any { return &policyv1.PodDisruptionBudget{} },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return &map[string]any{} },
}

func main() {
	documents, faults := 0, 0
	for _, file := range os.Args[1:] {
		check := checkManifests
		if strings.Contains(filepath.Base(file), "compose") {
			check = checkCompose
		}
		count, err := check(file)
		documents += count
		if err != nil {
			faults++
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
		}
	}
	fmt.Printf("manifests: %d documents in %d files, %d faulty files\n", documents, len(os.Args)-1, faults)
	if faults > 0 || documents == 0 {
		os.Exit(1)
	}
}

func checkManifests(file string) (int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	reader := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(content)))
	defer reader.Close()
	var all []error
	for count := 0; ; count++ {
		buffer := make([]byte, 1<<20)
		length, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return count, errors.Join(all...)
		}
		if err != nil {
			return count, err
		}
		if err := checkManifest(buffer[:length]); err != nil {
			all = append(all, err)
		}
	}
}

func checkManifest(document []byte) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := sigsyaml.Unmarshal(document, &head); err != nil {
		return err
	}
	kind := head.APIVersion + "/" + head.Kind
	create, known := kinds[kind]
	if !known {
		return fmt.Errorf("kind %s is not one of the chart", kind)
	}
	if err := sigsyaml.UnmarshalStrict(document, create()); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

func checkCompose(file string) (int, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(file),
		ConfigFiles: []types.ConfigFile{{Filename: file, Content: content}},
		Environment: types.Mapping{},
	}
	project, err := loader.LoadWithContext(context.Background(), details, func(options *loader.Options) {
		options.Profiles = []string{"*"}
	})
	if err != nil {
		return 0, err
	}
	return len(project.Services), nil
}
