// A sensor client in Go: readings in batches, a deadline on every call, a retry policy in the service
// config, and a loop around it for outages that outlast the policy.
//
//	go run . <host:port> <readings>
//
// SINK_TLS_CA, SINK_TLS_CERT and SINK_TLS_KEY name PEM files: the authority to trust, and for mutual TLS a
// certificate and its key. Without them it speaks plaintext.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	pb "telemetry-client/sensorv1"
)

//go:generate protoc -I ../../../proto --go_out=. --go_opt=module=telemetry-client --go_opt=Msensor/v1/sensor.proto=telemetry-client/sensorv1 --go-grpc_out=. --go-grpc_opt=module=telemetry-client --go-grpc_opt=Msensor/v1/sensor.proto=telemetry-client/sensorv1 sensor/v1/sensor.proto

// What the library retries by itself. It waits as long as the daemon says (grpc-retry-pushback-ms) and
// gives up when the daemon says never (-1). Five attempts are the most it allows.
const serviceConfig = `{
  "methodConfig": [{
    "name": [{"service": "sensor.v1.SensorService"}],
    "waitForReady": true,
    "timeout": "10s",
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.1s",
      "maxBackoff": "5s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
}`

const readingsPerRequest = 100

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: client <host:port> <readings>")
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(security()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 20 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := pb.NewSensorServiceClient(connection)

	for first := 1; first <= count; first += readingsPerRequest {
		request := &pb.SensorValuesRequest{}
		for number := first; number < first+readingsPerRequest && number <= count; number++ {
			request.Items = append(request.Items, &pb.SensorValue{
				SensorName: "go-1",
				Measurement: &pb.SensorValue_Measurement{
					SensorValue: wrapperspb.Int64(int64(number)),
					CreatedAt:   timestamppb.Now(),
				},
				Labels: map[string]string{"client": "go"},
			})
		}
		if err := deliver(client, request); err != nil {
			log.Fatalf("readings from %d on were not delivered: %v", first, err)
		}
	}
	fmt.Printf("go: %d readings acknowledged\n", count)
}

// deliver repeats a request until it is acknowledged or can never be.
func deliver(client pb.SensorServiceClient, request *pb.SensorValuesRequest) error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		var trailer metadata.MD
		_, err := client.SendSensorValues(ctx, request, grpc.Trailer(&trailer))
		cancel()
		if err == nil {
			return nil
		}
		if !worthRepeating(err, trailer) {
			return err
		}
		log.Printf("will try again: %v", err)
		time.Sleep(time.Second)
	}
}

func worthRepeating(err error, trailer metadata.MD) bool {
	for _, pushback := range trailer.Get("grpc-retry-pushback-ms") {
		if strings.HasPrefix(pushback, "-") {
			return false
		}
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	}
	return false
}

func security() credentials.TransportCredentials {
	authority := os.Getenv("SINK_TLS_CA")
	if authority == "" {
		return insecure.NewCredentials()
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		log.Fatalf("%s holds no certificate", authority)
	}
	if certificate := os.Getenv("SINK_TLS_CERT"); certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, os.Getenv("SINK_TLS_KEY"))
		if err != nil {
			log.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config)
}
