// What Kineograph adds in Node: a device through Dawn, and files.

export { NO_ADAPTER, nodeGPU, openNodeDevice } from "./node-device.js";
export { openFile, openFolder } from "./io/node-file.js";
export { nodeTuningCache } from "./io/node-tuning.js";
export { OutputError, writeAtomically, writeClip, type ClipOptions, type WriteOptions } from "./io/output.js";
export { openVideo, readVideo } from "./io/video-file.js";
export { parseHubName, SHORT_NAMES, type HubName, type HubUse, type ShortName } from "./io/hub-names.js";
export { hubPath, type HubOptions, type HubProgress } from "./io/node-hub.js";
