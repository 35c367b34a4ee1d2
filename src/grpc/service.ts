/** SensorService as a transport sees it: names, and messages that stay bytes. */
export const SENSOR_SERVICE = 'sensor.v1.SensorService';
/** Asked by probes, which carry no token: open to everybody. */
export const HEALTH_PATH_PREFIX = '/grpc.health.v1.Health/';
export const SEND_SENSOR_VALUES_PATH = `/${SENSOR_SERVICE}/SendSensorValues`;
export const STREAM_SENSOR_VALUES_PATH = `/${SENSOR_SERVICE}/StreamSensorValues`;
