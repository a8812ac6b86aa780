// Asks a scaler through KEDA's own client code; see ../README.md.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"

	v2 "k8s.io/api/autoscaling/v2"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
)

type spec struct {
	Name   string  `json:"name"`
	Target float64 `json:"target"`
}

// write is called by two goroutines: one Write each, which the pipe keeps whole.
func write(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(append(text, '\n'))
}

func specs(all []v2.MetricSpec) []spec {
	read := []spec{}
	for _, one := range all {
		read = append(read, spec{one.External.Metric.Name, float64(one.External.Target.AverageValue.MilliValue()) / 1000})
	}
	return read
}

func poll(ctx context.Context, config *scalersconfig.ScalerConfig) error {
	scaler, err := scalers.NewExternalScaler(config)
	if err != nil {
		return err
	}
	defer scaler.Close(ctx)
	all := scaler.GetMetricSpecForScaling(ctx)
	write(map[string]any{"specs": specs(all)})
	name := "s0-none"
	if len(all) > 0 {
		name = all[0].External.Metric.Name
	}
	metrics, active, err := scaler.GetMetricsAndActivity(ctx, name)
	if err != nil {
		return err
	}
	// As the HPA: all of them are summed.
	sum := 0.0
	for _, metric := range metrics {
		sum += float64(metric.Value.MilliValue()) / 1000
	}
	write(map[string]any{"value": sum, "active": active})
	return nil
}

func push(ctx context.Context, config *scalersconfig.ScalerConfig) error {
	scaler, err := scalers.NewExternalPushScaler(config)
	if err != nil {
		return err
	}
	defer scaler.Close(ctx)
	active := make(chan bool)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	go scaler.Run(ctx, active)
	if source, ok := scaler.(interface{ MetricSpecChan() <-chan []v2.MetricSpec }); ok {
		go func() {
			for all := range source.MetricSpecChan() {
				write(map[string]any{"specs": specs(all)})
			}
		}()
	}
	for state := range active {
		write(map[string]any{"active": state})
	}
	return nil
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: ADDR poll|push METADATA")
	}
	metadata := map[string]string{}
	if err := json.Unmarshal([]byte(os.Args[3]), &metadata); err != nil {
		log.Fatal(err)
	}
	metadata["scalerAddress"] = os.Args[1]
	config := &scalersconfig.ScalerConfig{
		ScalableObjectName:      "web",
		ScalableObjectNamespace: "shop",
		TriggerMetadata:         metadata,
		ResolvedEnv:             map[string]string{"TARGET": "0.7"},
	}
	ask := poll
	if os.Args[2] == "push" {
		ask = push
	}
	if err := ask(context.Background(), config); err != nil {
		write(map[string]any{"error": err.Error()})
	}
}
