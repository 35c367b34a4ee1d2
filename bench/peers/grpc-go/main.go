// The peer that does the least a gRPC server in Go can do: it decodes the request, counts it, and answers
// with an empty response. Nothing is checked, nothing is written.
//
// Its first line on standard output is {"address":"127.0.0.1:port","grpc":"1.2.3"}; on SIGTERM it stops
// gracefully and prints how much it decoded, {"requests":n,"readings":n}, for the benchmark to compare with
// what the load generator was told.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"

	"google.golang.org/grpc"

	"telemetry-sink/bench/peers/grpc-go/sensorv1"
)

type sink struct {
	requests, readings atomic.Uint64
}

// What protoc-gen-go-grpc would generate for one unary method, without interceptors.
func sendSensorValues(server any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(sensorv1.SensorValuesRequest)
	if err := decode(request); err != nil {
		return nil, err
	}
	counts := server.(*sink)
	counts.requests.Add(1)
	counts.readings.Add(uint64(len(request.Items)))
	return new(sensorv1.SensorValuesResponse), nil
}

var service = grpc.ServiceDesc{
	ServiceName: "sensor.v1.SensorService",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "SendSensorValues", Handler: sendSensorValues}},
	Metadata:    "sensor/v1/sensor.proto",
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "where to listen")
	workers := flag.Uint("stream-workers", 0, "grpc.NumStreamWorkers; 0: a goroutine for each request, as grpc-go does by default")
	flag.Parse()

	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	options := []grpc.ServerOption{}
	if *workers > 0 {
		options = append(options, grpc.NumStreamWorkers(uint32(*workers)))
	}
	server := grpc.NewServer(options...)
	counts := &sink{}
	server.RegisterService(&service, counts)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	fmt.Printf("{\"address\":%q,\"grpc\":%q,\"go\":%q,\"processors\":%d}\n",
		listener.Addr(), grpc.Version, runtime.Version(), runtime.GOMAXPROCS(0))
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"requests\":%d,\"readings\":%d}\n", counts.requests.Load(), counts.readings.Load())
}
