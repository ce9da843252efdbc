/** Bodies of the platform's API, as far as the pages show them. */

/** One page of a list. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
  total?: number;
}

/** Something of both sides of an experiment. */
export interface Sides {
  champion: number;
  challenger: number;
}

/** A challenger that is tried beside what is live. */
export interface ExperimentSummary {
  id: string;
  kind: 'shadow' | 'ab';
  champion: number;
  challenger: number;
  percent: number;
  keyHeader: string | null;
  phase: string;
  outcome: string | null;
  reason: string;
  summary: string;
  startedAt: string | null;
  endsAt: string | null;
  endedAt: string | null;
  decision: string | null;
  figures: {
    errors?: Sides;
    milliseconds?: Sides;
    keys?: Sides;
    split?: { mismatch: boolean };
    outcomes?: { taken: number };
  };
}

/** A model in an environment, in short. */
export interface ModelPlace {
  environment: string;
  champion: number | null;
  challenger: number | null;
  phase: string | null;
  deploymentId: string | null;
  since: string | null;
}

/** Which version of which template a repository has. */
export interface TemplateState {
  name: string;
  version: string | null;
  newest: string | null;
  behind: number | null;
  requestUrl: string | null;
}

/** A model in a list. */
export interface ModelSummary {
  name: string;
  description: string;
  type: string;
  owner: string;
  system: string | null;
  tier: number;
  costCentre: string;
  repository: string;
  entityRef: string | null;
  latestVersion: number | null;
  updatedAt: string;
  places: ModelPlace[];
  template: TemplateState | null;
  slo: { state: string; remaining: number | null } | null;
  drift: string | null;
  monthlyCost: { amount: string; currency: string } | null;
  compliance: { met: boolean; failing: number } | null;
}

/** One thing that is not as a check demands. */
export interface Deviation {
  subject: string;
  message: string;
  evidence: string | null;
}

/** What a check came to. */
export interface Check {
  id: string;
  title: string;
  state: string;
  summary: string;
  examined: number;
  exceptions: Deviation[];
  evaluatedAt: string | null;
  since: string | null;
}

/** A control and how it stands. */
export interface Control {
  framework: string;
  id: string;
  title: string;
  description: string;
  category: string;
  owner: string;
  state: string;
  outside: string | null;
  checks: Check[];
}

/** A framework of controls. */
export interface Framework {
  name: string;
  title: string;
  source: string;
  passing: number;
  failing: number;
  notEvaluated: number;
  outside: number;
}

/** How a model stands to the controls. */
export interface ModelCompliance {
  met: number;
  missing: number;
  controls: Control[];
}

/** A finding that may pass for a time. */
export interface Waiver {
  id: string;
  model: string;
  gate: string;
  checks: string[];
  environments: string[];
  reason: string;
  state: string;
  requestedBy: string;
  requestedAt: string;
  decidedBy: string | null;
  comment: string | null;
  expiresAt: string;
  actions: Action[];
}

/** A data set and how sensitive it is. */
export interface Dataset {
  id: string;
  name: string;
  entity: string;
  owner: string;
  classification: string | null;
  declared: string | null;
}

/** A data set with its columns. */
export interface DatasetDetail extends Dataset {
  columns: {
    name: string;
    type: string;
    classification: string;
    basis: string;
    decidedBy: string;
    reason: string | null;
    proposed: string | null;
  }[];
  actions: Action[];
}

/** How sensitive a version is, by what it was trained on. */
export interface Inheritance {
  classification: string;
  datasets: {
    name: string;
    uri: string;
    role: string;
    declared: string;
    known: string | null;
    basis: string | null;
    effective: string;
  }[];
}

/** A value to filter by, and how many models have it. */
export interface Facet {
  value: string;
  count: number;
}

/** What models can be filtered by. */
export interface Facets {
  owners: Facet[];
  systems: Facet[];
  types: Facet[];
  tiers: Facet[];
  environments: Facet[];
}

/** One of the platform's own key figures. */
export interface KeyFigure {
  name: string;
  value: number | null;
  unit: string;
  target: number | null;
  count: number;
  meaning: string;
  /** Whether the target is reached; null without a value or a target. */
  reached: boolean | null;
}

/** A figure in a month. */
export interface FigureMonth {
  month: string;
  value: number | null;
  count: number;
}

/** A key figure with how it was. */
export interface KeyFigureWithTrend extends KeyFigure {
  trend: FigureMonth[];
}

/** A key figure with the events behind it. */
export interface FigureDetail {
  figure: KeyFigure;
  trend: FigureMonth[];
  evidence: {
    at: string;
    subject: string;
    value: number;
    note: string;
    until: string | null;
  }[];
  more: number;
}

/** Something that somebody asks the platform team. */
export interface SupportRequest {
  id: string;
  priority: string;
  title: string;
  text: string;
  entityRef: string | null;
  state: string;
  askedBy: string;
  askedAt: string;
  dueAt: string;
  overdue: boolean;
  answeredAt: string | null;
  answeredBy: string | null;
  resolvedAt: string | null;
  resolvedBy: string | null;
}

/** A request with what was said about it. */
export interface WholeSupportRequest extends SupportRequest {
  entries: { at: string; kind: string; by: string; text: string }[];
  actions: Action[];
}

/** What people said in a quarter. */
export interface SurveyResults {
  quarter: string;
  answers: number;
  enough: boolean;
  mean: number | null;
  means: Record<string, number>;
  /** For platform administrators alone. */
  comments: string[] | null;
}

/** This quarter's survey. */
export interface Survey {
  quarter: string;
  endsAt: string;
  questions: { name: string; text: string }[];
  answer: { ratings: Record<string, number>; comment: string } | null;
  results: SurveyResults;
  action: Action;
}

/** What a version was made from. */
export interface Lineage {
  commit: string;
  repository: string;
  dirty: boolean;
  data: { name?: string; uri?: string; rows?: number | null }[];
  runId: string;
  python: string;
  ciRun: string | null;
  onBehalfOf: string | null;
}

/** A registered version. */
export interface Version {
  model: string;
  version: number;
  digest: string;
  createdAt: string;
  createdBy: string;
  aliases: string[];
  lineage: Lineage;
  metrics: Record<string, number>;
  params: Record<string, unknown>;
  spec: Record<string, unknown>;
  mlflowUrl: string | null;
}

/** A signed statement about a version's artefact. */
export interface Attestation {
  id: string;
  gate: string;
  outcome: 'passed' | 'failed' | 'not_evaluated';
  summary: string;
  principal: string;
  receivedAt: string;
  verified: boolean;
  reason: string | null;
  envelope: { payload: string };
}

/** What a version did in a step. */
export interface Figures {
  requests: number;
  errors: number;
  successRate: number | null;
  latencyMs: number | null;
  latencyPercentile: number | null;
}

/** One test of a step. */
export interface Check {
  name: string;
  observed: number | null;
  limit: number | null;
  evidence: number | null;
  threshold: number | null;
  verdict: 'passing' | 'suspected' | 'breached' | 'no_data';
}

/** One step of a rollout. */
export interface Step {
  index: number;
  kind: string;
  weight: number | null;
  state: 'pending' | 'running' | 'passed' | 'breached' | 'held';
  startedAt: string | null;
  finishedAt: string | null;
  canary: Figures | null;
  primary: Figures | null;
  checks: Check[];
  reason: string | null;
}

/** One requirement of the policy. */
export interface Requirement {
  requirement: string;
  state: 'met' | 'missing' | 'failed' | 'waiting';
  message: string;
  evidence: string | null;
}

/** What an approver said. */
export interface Approval {
  by: string;
  decision: 'approve' | 'reject';
  comment: string;
  at: string;
}

/** A deployment and everything that happened to it. */
export interface Deployment {
  id: string;
  kind: 'rollout' | 'rollback';
  model: string;
  version: number;
  environment: string;
  phase: string;
  outcome: string | null;
  reason: string | null;
  requestedBy: string;
  onBehalfOf: string | null;
  requestedAt: string;
  approvals: Approval[];
  breakGlass: { reason: string } | null;
  requirements: Requirement[];
  previousVersion: number | null;
  steps: Step[];
  finishedAt: string | null;
}

/** What old and new version did at one time of a rollout. */
export interface Sample {
  seq: number;
  at: string;
  step: number;
  canary: Figures;
  primary: Figures;
  /** By check: shares for success rates, milliseconds for latencies. */
  limits: Record<string, number>;
}

/** A version's share of the traffic. */
export interface Traffic {
  version: number;
  weight: number;
  desiredWeight: number;
  mirror: number;
  state: string;
  warmUntil: string | null;
}

/** A model in an environment as it is now. */
export interface Place {
  model: string;
  type: string;
  environment: string;
  url: string | null;
  champion: number | null;
  challenger: number | null;
  traffic: Traffic[];
  rollout: Deployment | null;
  replicas: {
    version: number;
    replica: number;
    state: string;
    message: string | null;
  }[];
}

/** Something the caller may do or not. */
export interface Action {
  action: string;
  allowed: boolean;
  reason: string | null;
  fix: string | null;
}

/** An event of the audit log, a CloudEvent. */
export interface AuditEvent {
  seq: number;
  hash: string;
  event: {
    id: string;
    type: string;
    subject: string;
    actor: string;
    time: string;
    data: Record<string, unknown>;
  };
}

/** A repository that came from a template. */
export interface FleetRepository {
  host: string;
  org: string;
  name: string;
  owner: string | null;
  webUrl: string | null;
  template: string | null;
  version: string | null;
  newest: string | null;
  behind: number | null;
  drift: { path: string; kind?: string }[] | null;
  templateChangedAt: string | null;
  number: number | null;
  requestUrl: string | null;
  fault: string | null;
  seenAt: string;
}

/** The repositories of one owner and template. */
export interface FleetSummary {
  owner: string | null;
  template: string | null;
  repositories: number;
  behind: number;
  openRequests: number;
  faults: number;
}

/** A campaign as it is now. */
export interface Campaign {
  id: string;
  template: string;
  version: string;
  owner: string | null;
  waves: number[];
  state: string;
  wave: number;
  counts: Record<string, number>;
  message: string | null;
  requestedBy: string;
  requestedAt: string;
  finishedAt: string | null;
}

/** What a version of a template changes. */
export interface TemplateChange {
  version: string;
  date: string | null;
  text: string;
}

/** A pair of windows in which an error budget burns. */
export interface Burn {
  alert: string;
  long: string;
  short: string;
  threshold: number;
  longRate: number | null;
  shortRate: number | null;
  firing: boolean;
}

/** How an objective of a live version stands. */
export interface Slo {
  slo: string;
  environment: string;
  version: number;
  meaning: string;
  objective: number;
  windowSeconds: number;
  state: string;
  remaining: number | null;
  burns: Burn[];
  firing: Record<string, string>;
  note: string | null;
  evaluatedAt: string;
}

/** What a version did from `at` for one step; times in milliseconds. */
export interface TrafficPoint {
  at: string;
  requests: number;
  rate: number | null;
  errorRatio: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
}

/** What an objective allows. */
export interface Limit {
  slo: string;
  objective: number;
  errorRatio: number | null;
  latencyMs: number | null;
}

/** What the versions of a model did in an environment over a window. */
export interface TrafficSeries {
  type: string;
  environment: string;
  beginsAt: string;
  endsAt: string;
  stepSeconds: number;
  versions: { version: number; live: boolean; points: TrafficPoint[] }[];
  leftOut: number[];
  limits: Limit[];
  moments: {
    slo: string;
    version: number;
    points: { at: string; badRatio: number }[];
  }[];
}

/** How a model's objectives stand. */
export interface ModelSlos {
  model: string;
  state: string | null;
  slos: Slo[];
}

/** One test of one column in a drift report. */
export interface DriftFinding {
  part: string;
  side: string;
  column: string;
  check: string;
  test: string;
  rows: number;
  p: number;
  distance: number | null;
  drifted: boolean;
}

/** A live version's window, held against its training reference. */
export interface DriftReport {
  id: string;
  environment: string;
  version: number;
  state: string;
  outcome: string | null;
  since: string;
  until: string;
  rows: number;
  labelled: number;
  drifted: DriftFinding[];
  reason: string | null;
  retraining: {
    number: number | null;
    url: string | null;
    reason: string | null;
  } | null;
}

/** An incident in a list. */
export interface Incident {
  id: string;
  title: string;
  model: string | null;
  environment: string | null;
  severity: string;
  state: string;
  owner: string;
  onCall: { who: string | null };
  runbook: string | null;
  suspects: { what: string; at: string; by: string }[];
  roles: Record<string, string>;
  beganAt: string;
  cause: string | null;
  resolution: string | null;
}

/** An incident with its timeline. */
export interface WholeIncident extends Incident {
  timeline: { at: string; kind: string; actor: string; text: string }[];
  actions: Action[];
}

/** A part of what something has cost; amounts are texts, so that no cent is lost. */
export interface CostGroup {
  version: number | null;
  environment: string | null;
  resource: string | null;
  day: string | null;
  cost: string;
  shared: string;
  predictions: number;
  perThousandPredictions: string | null;
}

/** What a model costs in a month. */
export interface ModelCost {
  month: string;
  currency: string;
  closed: boolean;
  total: string;
  shared: string;
  forecast: string | null;
  perThousandPredictions: string | null;
  days: CostGroup[];
  versions: CostGroup[];
  environments: CostGroup[];
  resources: CostGroup[];
  months: { month: string; cost: string }[];
  unpriced: {
    resource: string;
    sku: string | null;
    quantity: string;
    unit: string;
  }[];
  budget: {
    monthly: string;
    forecast: string;
    percent: number | null;
    exceeded: boolean;
  } | null;
  anomalies: { day: string; cost: string; expected: string; cause: string }[];
}

/** What could be saved, and what would be but for an objective. */
export interface Savings {
  items: {
    kind: string;
    environment: string | null;
    saving: string;
    currency: string;
    change: string;
    reason: string;
    checked: string;
  }[];
  withheld: {
    kind: string;
    environment: string | null;
    saving: string;
    currency: string;
    objective: string;
  }[];
}

/** What a team may take up of a resource in an environment. */
export interface Quota {
  environment: string;
  resource: string;
  unit: string;
  limit: string;
  used: string;
  changedBy: string[];
}

/** Why policies refuse something, as problem details say it. */
export interface Refusal {
  allowed: boolean;
  action: string;
  resource: string;
  rules: string[];
  /** The command that asks for it; absent where it can't be asked for. */
  request?: string | null;
}

/** What the policies say to a question. */
export interface Decision {
  allowed: boolean;
  principal: string;
  action: string;
  resource: string;
  explanation: string;
  rules: { rule: string; reason: string }[];
  grant: string | null;
  request: string | null;
}

/** What can be asked for, for which purposes and how long. */
export interface Wishes {
  actions: {
    action: string;
    scopes: string[];
    breakGlass: boolean;
    forPurpose: boolean;
  }[];
  purposes: Record<string, string>;
  longest: string;
  longestBreakGlass: string;
}

/** Access for a time, or the wish for it. */
export interface Grant {
  id: string;
  kind: 'grant' | 'break-glass';
  state: 'requested' | 'active' | 'denied' | 'expired' | 'revoked';
  principal: string;
  action: string;
  scope: string;
  purpose: string | null;
  reason: string;
  seconds: number;
  owner: string;
  requestedBy: string;
  onBehalfOf: string | null;
  requestedAt: string;
  decidedBy: string | null;
  comment: string | null;
  endsAt: string;
  endedAt: string | null;
  endReason: string | null;
  lookedAtBy: string | null;
  lookedAtComment: string | null;
  justified: boolean | null;
  actions: Action[];
}

/** An access review. */
export interface Review {
  id: string;
  name: string;
  state: 'collecting' | 'open' | 'closing' | 'closed' | 'failed';
  openedBy: string;
  openedAt: string;
  dueAt: string;
  remindedAt: string | null;
  escalatedAt: string | null;
  closedBy: string | null;
  closedAt: string | null;
  closeReason: string | null;
  digest: string | null;
  counts: Record<string, number>;
}

/** An access review, and what the caller may do about it. */
export interface WholeReview extends Review {
  actions: Action[];
}

/** A permission in a review. */
export interface ReviewItem {
  id: string;
  reviewId: string;
  kind: 'membership' | 'role' | 'ownership' | 'grant';
  principal: string;
  target: string;
  owner: string;
  state: 'pending' | 'confirmed' | 'revoked' | 'expired';
  decidedBy: string | null;
  comment: string | null;
  exception: string | null;
  actions: Action[];
}

/** Who did alone what takes two, in a period. */
export interface Duties {
  checked: Record<string, number>;
  violations: {
    kind: string;
    at: string;
    subject: string;
    persons: string[];
    message: string;
  }[];
}

/** A person's wish to be found or forgotten; what the person goes by is nowhere. */
export interface SubjectRequest {
  id: string;
  state: string;
  reason: string;
  requestedBy: string;
  requestedAt: string;
  dueAt: string;
  overdue: boolean;
  erasureRequestedBy: string | null;
  confirmedBy: string | null;
  finishedAt: string | null;
  message: string | null;
  found: number;
  remaining: number | null;
  certificate: string | null;
}

/** A data-subject request with all that was found. */
export interface WholeSubjectRequest extends SubjectRequest {
  findings: {
    index: number;
    kind: string;
    location: string;
    found: number;
    remaining: number | null;
    state: string;
    reason: string | null;
  }[];
  models: {
    model: string;
    version: number;
    datasets: string[];
    use: 'trained' | 'scores';
    inUse: boolean;
    deleted: boolean;
  }[];
  actions: Action[];
}

/** A reason for which something is not deleted. */
export interface LegalHold {
  id: string;
  subject: string;
  reason: string;
  placedBy: string;
  placedAt: string;
  releasedBy: string | null;
  releasedAt: string | null;
  releaseReason: string | null;
}

/** How long a kind of thing is kept at most. */
export interface RetentionPolicy {
  kind: string;
  scope: string;
  keep: string | null;
  source: string;
}

/** One pass over everything that is kept. */
export interface RetentionRun {
  id: string;
  state: string;
  dryRun: boolean;
  scheduled: boolean;
  requestedBy: string;
  requestedAt: string;
  finishedAt: string | null;
  message: string | null;
  counts: Record<string, Record<string, number>>;
  certificate: string | null;
}

/** Something that was over in a run. */
export interface RetentionItem {
  index: number;
  kind: string;
  name: string;
  overSince: string;
  state: string;
  reason: string | null;
}

/** A signed statement of what was deleted. */
export interface Certificate {
  id: string;
  about: string;
  createdAt: string;
  valid: boolean;
  counts: Record<string, number>;
}

/** A certificate with what an auditor verifies. */
export interface WholeCertificate extends Certificate {
  envelope: Record<string, unknown>;
}

/** A pack of evidence about a period, as far as it is made. */
export interface EvidencePack {
  id: string;
  from: string;
  to: string;
  control: string | null;
  requestedBy: string;
  requestedAt: string;
  state: 'pending' | 'running' | 'done' | 'failed';
  events: number | null;
  written: number;
  bytes: number | null;
  sha256: string | null;
  reason: string | null;
}

/** What a check of the whole audit log found. */
export interface Verification {
  valid: boolean;
  events: number;
  segments: number;
  sealed: number;
  head: { seq: number; hash: string; root: string | null };
  faults: { message: string }[];
}

/** A checkpoint of the audit log that was, or was to be, published to a second place. */
export interface Publication {
  id: string;
  target: string;
  state: 'running' | 'published' | 'refused' | 'failed';
  size: number | null;
  place: string | null;
  reason: string | null;
  startedAt: string;
}

/** A part of the audit log whose events lie in a sealed file. */
export interface Segment {
  name: string;
  first: number;
  last: number;
  earliest: string;
  latest: string;
  bytes: number;
  sealedAt: string;
  removedAt: string | null;
}
