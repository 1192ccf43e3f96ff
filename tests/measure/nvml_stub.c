/* A stand-in for libnvidia-ml.so.1: one card that draws power as a trace says, seen through a sensor that refreshes and averages.

   Build: cc -shared -fPIC -O1 -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 nvml_stub.c
   -DNO_COUNTER leaves the symbol of the energy counter out.

   Everything is set by environment variables, read at nvmlInitWithFlags:
   STUB_TRACE        seconds:watts,...  power, linear between the points, level before the first and after the last
   STUB_T0           second 0 of the trace on CLOCK_MONOTONIC; default: the time of initialisation
   STUB_T0_FILE      a file that holds that second; until it is there the trace stands before its first point
   STUB_USAGE        refresh,window[,phase]  of the sensor, milliseconds; "none": not supported
   STUB_INSTANT      the same for field 186; STUB_INSTANT_SCOPE: the scope that has it (0)
   STUB_COUNTER      refresh,scale[,mode]  mode: none, stuck, decreasing
   STUB_FAIL         function=code@calls[+times],...  after that many calls the function returns the code (for so many calls)
   STUB_STALL        function=milliseconds@seconds  the first call so long after initialisation takes so long
   STUB_PROCESSES    compute,graphics  numbers of processes, whose ids are not of this machine
   STUB_PROCESS_BYTES  memory of each; default: nobody tells
   STUB_MIG          1: the card is cut into slices
   STUB_ECC          1 or 0: whether memory corrects its errors; default: it cannot
   STUB_MEMORY_TEMPERATURE  as the next; default: not told
   STUB_UTILISATION, STUB_EVENTS, STUB_CLOCK, STUB_TEMPERATURE   seconds:value,...  on the time of the trace
*/
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct { int n; double t[8192], v[8192], sum[8192]; } curve_t;
typedef struct { int works; double refresh, window, phase; } sensor_t;
typedef struct { unsigned field, scope; long long stamp, latency; unsigned type; int code; union { unsigned ui; unsigned long long ull; } value; } field_t;
typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute; } process_t;

static curve_t power, utilisation, events, sm_clock, temperature, memory_temperature;
static sensor_t usage, instant;
static double opened, origin, counter_refresh, counter_scale;
static int counter_mode, origin_known, instant_scope;
static unsigned process_counts[2];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static const char *env(const char *name, const char *fallback) {
    const char *text = getenv(name);
    return text ? text : fallback;
}

static void read_curve(curve_t *curve, const char *name, const char *fallback) {
    const char *text = env(name, fallback);
    int used;
    curve->n = 0;
    while (curve->n < 8192 && sscanf(text, "%lf:%lf%n", &curve->t[curve->n], &curve->v[curve->n], &used) == 2) {
        int i = curve->n++;
        curve->sum[i] = i ? curve->sum[i - 1] + (curve->v[i] + curve->v[i - 1]) / 2 * (curve->t[i] - curve->t[i - 1]) : 0;
        text += used;
        if (*text == ',') text++;
    }
}

/* The segment that holds second t. */
static int segment(const curve_t *curve, double t) {
    int low = 0, high = curve->n - 1;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (curve->t[middle] <= t) low = middle; else high = middle;
    }
    return low;
}

static double value_at(const curve_t *curve, double t) {
    int last = curve->n - 1;
    if (t < curve->t[0]) return curve->v[0];
    if (t >= curve->t[last]) return curve->v[last];
    int i = segment(curve, t);
    double span = curve->t[i + 1] - curve->t[i];
    return span > 0 ? curve->v[i] + (curve->v[i + 1] - curve->v[i]) * (t - curve->t[i]) / span : curve->v[i + 1];
}

/* The integral of the curve from its first point to second t; negative before it. */
static double integral_to(const curve_t *curve, double t) {
    int last = curve->n - 1;
    if (t < curve->t[0]) return curve->v[0] * (t - curve->t[0]);
    if (t >= curve->t[last]) return curve->sum[last] + curve->v[last] * (t - curve->t[last]);
    int i = segment(curve, t);
    return curve->sum[i] + (curve->v[i] + value_at(curve, t)) / 2 * (t - curve->t[i]);
}

static double trace_time(double t) {
    const char *path = getenv("STUB_T0_FILE");
    if (!origin_known && path) {
        FILE *file = fopen(path, "r");
        if (file) {
            origin_known = fscanf(file, "%lf", &origin) == 1;
            fclose(file);
        }
    }
    return origin_known ? t - origin : power.t[0] - 1e-9;
}

/* Joules since initialisation; steady at the first watts until the trace begins. */
static double joules_at(double t) {
    trace_time(t);
    double start = origin + power.t[0];
    if (!origin_known || t < start) return power.v[0] * (t - opened);
    return power.v[0] * (start - opened) + integral_to(&power, t - origin);
}

static double sensed(const sensor_t *sensor) {
    double t = floor((now() - opened - sensor->phase) / sensor->refresh) * sensor->refresh + sensor->phase + opened;
    return (joules_at(t) - joules_at(t - sensor->window)) / sensor->window;
}

static void read_sensor(sensor_t *sensor, const char *name, const char *fallback) {
    sensor->phase = 0;
    sensor->works = sscanf(env(name, fallback), "%lf,%lf,%lf", &sensor->refresh, &sensor->window, &sensor->phase) >= 2;
    sensor->refresh /= 1e3, sensor->window /= 1e3, sensor->phase /= 1e3;
}

/* Count a call: the code that it shall return, after the time that it shall take. */
static int call(const char *function) {
    static struct { const char *name; long calls; } seen[64];
    int i = 0, code = 0;
    size_t length = strlen(function);
    while (i < 63 && seen[i].name && strcmp(seen[i].name, function)) i++;
    seen[i].name = function;
    long number = seen[i].calls++;
    for (const char *rule = env("STUB_FAIL", ""); rule && *rule; rule = strchr(rule, ',') ? strchr(rule, ',') + 1 : NULL) {
        int rule_code;
        long after = 0, times = -1;
        if (strncmp(rule, function, length) || rule[length] != '=') continue;
        if (sscanf(rule + length + 1, "%d@%ld+%ld", &rule_code, &after, &times) >= 1 && number >= after && (times < 0 || number < after + times))
            code = rule_code;
    }
    const char *stall = env("STUB_STALL", "");
    if (!strncmp(stall, function, length) && stall[length] == '=') {
        static int stalled;
        int milliseconds;
        double at = 0;
        if (!stalled && sscanf(stall + length + 1, "%d@%lf", &milliseconds, &at) >= 1 && now() - opened >= at) {
            stalled = 1;
            usleep(milliseconds * 1000);
        }
    }
    return code;
}

#define CALL() do { int code = call(__func__); if (code) return code; } while (0)

int nvmlInitWithFlags(unsigned flags) {
    char mode[32] = "";
    (void)flags;
    CALL();
    opened = now();
    read_curve(&power, "STUB_TRACE", "0:100");
    read_curve(&utilisation, "STUB_UTILISATION", "0:0");
    read_curve(&events, "STUB_EVENTS", "0:0");
    read_curve(&sm_clock, "STUB_CLOCK", "0:1400");
    read_curve(&temperature, "STUB_TEMPERATURE", "0:50");
    read_curve(&memory_temperature, "STUB_MEMORY_TEMPERATURE", "");
    read_sensor(&usage, "STUB_USAGE", "20,20");
    read_sensor(&instant, "STUB_INSTANT", "none");
    instant_scope = atoi(env("STUB_INSTANT_SCOPE", "0"));
    counter_refresh = 0.02, counter_scale = 1;
    if (sscanf(env("STUB_COUNTER", ""), "%lf,%lf,%31s", &counter_refresh, &counter_scale, mode) >= 1) counter_refresh /= 1e3;
    counter_mode = !strcmp(mode, "none") ? 1 : !strcmp(mode, "stuck") ? 2 : !strcmp(mode, "decreasing") ? 3 : 0;
    origin_known = !getenv("STUB_T0_FILE");
    origin = atof(env("STUB_T0", "0"));
    if (!getenv("STUB_T0")) origin = opened;
    sscanf(env("STUB_PROCESSES", "0,0"), "%u,%u", &process_counts[0], &process_counts[1]);
    return 0;
}

int nvmlShutdown(void) { CALL(); return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { CALL(); snprintf(text, length, "%s", env("STUB_DRIVER", "999.1")); return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { CALL(); *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { CALL(); *device = &power; return index ? 2 : 0; }

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    CALL();
    *device = &power;
    return strcmp(uuid, "GPU-stub") && strcmp(uuid, "MIG-slice") ? 6 : 0;
}

int nvmlDeviceGetName(void *device, char *text, unsigned length) { (void)device; CALL(); snprintf(text, length, "Stub GPU"); return 0; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned length) { (void)device; CALL(); snprintf(text, length, "GPU-stub"); return 0; }
int nvmlDeviceGetArchitecture(void *device, unsigned *architecture) { (void)device; CALL(); *architecture = 7; return 0; }

int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
    (void)device;
    CALL();
    return sscanf(env("STUB_CAPABILITY", "8.6"), "%d.%d", major, minor) == 2 ? 0 : 3;
}

static unsigned long long state_of(const curve_t *curve) { return (unsigned long long)llround(value_at(curve, trace_time(now()))); }

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    (void)device;
    CALL();
    if (!usage.works) return 3;
    *milliwatts = (unsigned)lround(1e3 * sensed(&usage));
    return 0;
}

int nvmlDeviceGetFieldValues(void *device, int count, field_t *fields) {
    (void)device;
    CALL();
    for (int i = 0; i < count; i++) {
        if (fields[i].field == 82) {
            fields[i].code = memory_temperature.n ? 0 : 3;
            if (!fields[i].code) fields[i].value.ui = state_of(&memory_temperature);
            continue;
        }
        fields[i].code = fields[i].field == 186 && instant.works && (int)fields[i].scope == instant_scope ? call("field186") : 3;
        if (!fields[i].code) fields[i].value.ui = (unsigned)lround(1e3 * sensed(&instant));
    }
    return 0;
}

#ifndef NO_COUNTER
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    (void)device;
    CALL();
    if (counter_mode == 1) return 3;
    double t = floor((now() - opened) / counter_refresh) * counter_refresh;
    double joules = 1000 + counter_scale * (counter_mode == 2 ? 0 : joules_at(opened + t));
    if (counter_mode == 3 && fmod(t, 1) > 0.5) joules -= 500;
    *millijoules = (unsigned long long)llround(1e3 * joules);
    return 0;
}
#endif

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
    (void)device;
    CALL();
    memory[0] = 8ull << 30, memory[1] = 7ull << 30, memory[2] = 1ull << 30;
    return 0;
}

static int processes(unsigned have, unsigned first, unsigned *count, process_t *found) {
    unsigned room = *count;
    *count = have;
    if (!have) return 0;
    if (room < have || !found) return 7;
    for (unsigned i = 0; i < have; i++) found[i] = (process_t){first + i, strtoull(env("STUB_PROCESS_BYTES", "18446744073709551615"), NULL, 10), ~0u, ~0u};
    return 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process_t *found) {
    (void)device;
    CALL();
    return processes(process_counts[0], 4100000, count, found);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, process_t *found) {
    (void)device;
    CALL();
    return processes(process_counts[1], 4200000, count, found);
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *bits) { (void)device; CALL(); *bits = state_of(&events); return 0; }
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) { (void)device, (void)sensor; CALL(); *celsius = state_of(&temperature); return 0; }
int nvmlDeviceGetClockInfo(void *device, unsigned type, unsigned *mhz) { (void)device; CALL(); *mhz = type == 1 ? state_of(&sm_clock) : 7000; return 0; }
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) { (void)device; CALL(); rates[0] = state_of(&utilisation), rates[1] = 0; return 0; }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) { (void)device; CALL(); *milliwatts = 350000; return 0; }
int nvmlDeviceGetApplicationsClock(void *device, unsigned type, unsigned *mhz) { (void)device; CALL(); *mhz = type == 1 ? 1350 : 6900; return 0; }

int nvmlDeviceGetEccMode(void *device, unsigned *current, unsigned *pending) {
    (void)device;
    CALL();
    if (!getenv("STUB_ECC")) return 3;
    *current = *pending = atoi(getenv("STUB_ECC"));
    return 0;
}

int nvmlDeviceGetPerformanceState(void *device, unsigned *state) { (void)device; CALL(); *state = 2; return 0; }

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
    (void)device;
    CALL();
    if (!getenv("STUB_MIG")) return 3;
    *current = *pending = atoi(getenv("STUB_MIG"));
    return 0;
}
