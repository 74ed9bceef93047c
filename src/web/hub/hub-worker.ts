// The hub's worker: answers the page's calls. The server lets this worker alone reach the hub (src/cli/studio-policy.ts).

import "../polyfill.js";
import { serve } from "../rpc.js";
import { describePlan } from "./describe-plan.js";
import { fetchPlan, goOn } from "./fetch-model.js";
import { lookUp } from "./look-up.js";
import type { HubCalls } from "./protocol.js";

serve<HubCalls>({
  lookUp: (request, { signal }) => lookUp(request, signal),
  describe: (request, { signal }) => describePlan(request, signal),
  fetch: (request, { emit, signal }) => fetchPlan(request, emit, signal),
  goOn: (request, { emit, signal }) => goOn(request, emit, signal),
});
