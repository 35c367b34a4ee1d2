/** SensorService as a transport sees it: names, and messages that stay bytes. */
export const SENSOR_SERVICE = 'sensor.v1.SensorService';
export const SEND_SENSOR_VALUES_PATH = `/${SENSOR_SERVICE}/SendSensorValues`;
