// Asks a scaler through KEDA's generated stubs, in the order in which KEDA's client calls; see ../README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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

func specs(answer *pb.GetMetricSpecResponse) []spec {
	all := []spec{}
	for _, one := range answer.MetricSpecs {
		all = append(all, spec{one.MetricName, one.TargetSizeFloat})
	}
	return all
}

func poll(ctx context.Context, client pb.ExternalScalerClient, ref *pb.ScaledObjectRef) error {
	answer, err := client.GetMetricSpec(ctx, ref)
	if err != nil {
		return err
	}
	write(map[string]any{"specs": specs(answer)})
	request := &pb.GetMetricsRequest{ScaledObjectRef: ref, MetricName: answer.MetricSpecs[0].MetricName}
	metrics, err := client.GetMetrics(ctx, request)
	if err != nil {
		return err
	}
	active, err := client.IsActive(ctx, ref)
	if err != nil {
		return err
	}
	// As KEDA's client: the float where it is above zero, else the whole number; all of them are summed.
	sum := 0.0
	for _, metric := range metrics.MetricValues {
		value := float64(metric.MetricValue)
		if metric.MetricValueFloat > 0 {
			value = metric.MetricValueFloat
		}
		sum += value
	}
	write(map[string]any{"value": sum, "active": active.Result})
	return nil
}

// again opens a stream over and over: 2 s after an end with OK, and later and later after an error.
func again(open func() error) {
	wait := 2 * time.Second
	for {
		if err := open(); errors.Is(err, io.EOF) {
			wait = 2 * time.Second
		} else {
			log.Print(err)
		}
		time.Sleep(wait)
		wait = min(2*wait, time.Minute)
	}
}

func push(ctx context.Context, client pb.ExternalScalerClient, ref *pb.ScaledObjectRef) {
	go again(func() error {
		stream, err := client.StreamMetricSpec(ctx, ref)
		for err == nil {
			var answer *pb.GetMetricSpecResponse
			if answer, err = stream.Recv(); err == nil {
				write(map[string]any{"specs": specs(answer)})
			}
		}
		return err
	})
	go again(func() error {
		stream, err := client.StreamIsActive(ctx, ref)
		for err == nil {
			var answer *pb.IsActiveResponse
			if answer, err = stream.Recv(); err == nil {
				write(map[string]any{"active": answer.Result})
			}
		}
		return err
	})
	io.Copy(io.Discard, os.Stdin)
}

func main() {
	metadata := map[string]string{}
	if len(os.Args) != 4 {
		log.Fatal("usage: ADDR poll|push METADATA")
	}
	if err := json.Unmarshal([]byte(os.Args[3]), &metadata); err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin":{}}]}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := pb.NewExternalScalerClient(connection)
	ref := &pb.ScaledObjectRef{Name: "web", Namespace: "shop", ScalerMetadata: metadata}
	if os.Args[2] == "push" {
		push(context.Background(), client, ref)
	} else if err := poll(context.Background(), client, ref); err != nil {
		write(map[string]any{"error": err.Error()})
	}
}
