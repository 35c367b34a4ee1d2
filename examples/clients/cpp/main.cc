// A sensor client in C++: readings in batches, a deadline on every call, a retry policy in the service
// config, and a loop around it for outages that outlast the policy.
//
//   ./client <host:port> <readings>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include <google/protobuf/util/time_util.h>

#include "sensor/v1/sensor.grpc.pb.h"

using google::protobuf::util::TimeUtil;
using sensor::v1::SensorService;
using sensor::v1::SensorValuesRequest;
using sensor::v1::SensorValuesResponse;

namespace {

// What the library retries by itself. It waits as long as the daemon says (grpc-retry-pushback-ms) and
// gives up when the daemon says never (-1). Five attempts are the most it allows.
constexpr char kServiceConfig[] = R"({
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
})";

constexpr long kReadingsPerRequest = 100;

bool WorthRepeating(const grpc::Status& status, const grpc::ClientContext& context) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto pushback = trailers.find("grpc-retry-pushback-ms");
  if (pushback != trailers.end() && pushback->second.starts_with("-")) return false;
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return true;
    default:
      return false;
  }
}

// Repeats a request until it is acknowledged or can never be.
grpc::Status Deliver(SensorService::Stub& stub, const SensorValuesRequest& request) {
  for (;;) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    SensorValuesResponse response;
    const grpc::Status status = stub.SendSensorValues(&context, request, &response);
    if (status.ok() || !WorthRepeating(status, context)) return status;
    std::cerr << "will try again: " << status.error_message() << std::endl;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace

std::string Pem(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr) return "";
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// SINK_TLS_CA, SINK_TLS_CERT and SINK_TLS_KEY name PEM files: the authority to trust, and for mutual TLS a
// certificate and its key. Without them it speaks plaintext.
std::shared_ptr<grpc::ChannelCredentials> Security() {
  if (std::getenv("SINK_TLS_CA") == nullptr) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = Pem("SINK_TLS_CA");
  options.pem_private_key = Pem("SINK_TLS_KEY");
  options.pem_cert_chain = Pem("SINK_TLS_CERT");
  return grpc::SslCredentials(options);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: client <host:port> <readings>" << std::endl;
    return 2;
  }
  const long count = std::stol(argv[2]);
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 300000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  const auto stub =
      SensorService::NewStub(grpc::CreateCustomChannel(argv[1], Security(), arguments));

  for (long first = 1; first <= count; first += kReadingsPerRequest) {
    SensorValuesRequest request;
    const long last = std::min(first + kReadingsPerRequest - 1, count);
    for (long number = first; number <= last; ++number) {
      auto* item = request.add_items();
      item->set_sensor_name("cpp-1");
      item->mutable_measurement()->mutable_sensor_value()->set_value(number);
      *item->mutable_measurement()->mutable_created_at() = TimeUtil::GetCurrentTime();
      (*item->mutable_labels())["client"] = "cpp";
    }
    const grpc::Status status = Deliver(*stub, request);
    if (!status.ok()) {
      std::cerr << "readings from " << first << " on were not delivered: " << status.error_message() << std::endl;
      return 1;
    }
  }
  std::cout << "cpp: " << count << " readings acknowledged" << std::endl;
  return 0;
}
