/* A llama.cpp that was built wrong, for tests on processors without AMX.
 *
 * Preloaded, it adds a buffer type called AMX to those of the CPU backend, before the others.
 * Weights that CPU_REPACK could hold go there, and the first multiplication by one of them
 * fails as FAULT says:
 *
 *   crash       SIGSEGV, as in AMX code miscompiled by GCC 12 (the default)
 *   numbers     the result is not computed
 *   everywhere  SIGSEGV, in CPU_REPACK's code too
 *
 * The C++ objects are laid out by hand (Itanium ABI), so that no header is needed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct buffer_type {
    const char *(*get_name)(struct buffer_type *);
    void *functions[5];
    void *device;
    struct extra *context;
} buffer_type;

/* ggml::cpu::extra_buffer_type and ggml::cpu::tensor_traits; two destructors come first */
typedef struct traits {
    const struct {
        void *destructors[2];
        bool (*work_size)(struct traits *, int threads, const void *op, size_t *size);
        bool (*compute_forward)(struct traits *, void *params, void *op);
    } *table;
} traits;

typedef struct extra {
    const struct {
        void *destructors[2];
        bool (*supports_op)(struct extra *, void *device, const void *op);
        traits *(*get_tensor_traits)(struct extra *, const void *op);
    } *table;
} extra;

/* std::vector<buffer_type *> */
typedef struct {
    buffer_type **begin, **end, **capacity;
} buffer_types;

static buffer_type amx, *repack;
static __thread bool repack_is_amx;

static bool fault_is(const char *name) {
    const char *fault = getenv("FAULT");
    return strcmp(fault ? fault : "crash", name) == 0;
}

/* The function that this one hides, in the library that calls it. */
static void *hidden(const char *name, void *caller) {
    Dl_info info;
    dladdr(caller, &info);
    return dlsym(dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD), name);
}

static const char *amx_name(buffer_type *type) {
    (void) type;
    return "AMX";
}

/* What CPU_REPACK would say of a weight, if this buffer type were CPU_REPACK. */
static bool amx_supports_op(extra *self, void *device, const void *op) {
    (void) self;
    repack_is_amx = true;
    bool answer = repack->context->table->supports_op(repack->context, device, op);
    repack_is_amx = false;
    return answer;
}

static bool amx_work_size(traits *self, int threads, const void *op, size_t *size) {
    (void) self, (void) threads, (void) op;
    *size = 0;
    return true;
}

static bool amx_compute(traits *self, void *params, void *op) {
    (void) self, (void) params, (void) op;
    if (!fault_is("numbers")) raise(SIGSEGV);
    return true;
}

static traits *amx_get_tensor_traits(extra *self, const void *op) {
    static __typeof__(*((traits *) 0)->table) table = {{0}, amx_work_size, amx_compute};
    static traits faulty = {&table};
    (void) self;
    repack_is_amx = true;
    traits *real = repack->context->table->get_tensor_traits(repack->context, op);
    repack_is_amx = false;
    return real ? &faulty : NULL;
}

/* ggml_backend_cpu_repack_buffer_type() */
buffer_type *_Z35ggml_backend_cpu_repack_buffer_typev(void) {
    static buffer_type *(*real)(void);
    if (!real) real = hidden(__func__, __builtin_return_address(0));
    return repack_is_amx ? &amx : real();
}

/* ggml_backend_cpu_get_extra_buffer_types() */
buffer_types *_Z39ggml_backend_cpu_get_extra_buffer_typesv(void) {
    static buffer_types *types;
    if (types) return types;
    buffer_types *(*real)(void) = hidden(__func__, __builtin_return_address(0));
    buffer_types *found = real();
    size_t count = found->end - found->begin;
    if (count == 0) return types = found;

    static __typeof__(*((extra *) 0)->table) table = {{0}, amx_supports_op, amx_get_tensor_traits};
    static extra context = {&table};
    repack = found->end[-1];
    amx = *repack;
    amx.get_name = amx_name;
    amx.context = &context;
    buffer_type **extended = malloc((count + 1) * sizeof *extended); /* the vector's, from now on */
    extended[0] = &amx;
    memcpy(extended + 1, found->begin, count * sizeof *extended);
    found->begin = extended;
    found->end = found->capacity = extended + count + 1;
    return types = found;
}

/* The kernel of CPU_REPACK for Q4_0 on x86. */
void ggml_gemm_q4_0_8x8_q8_0(int n, float *s, size_t bs, const void *vx, const void *vy, int nr,
                             int nc) {
    static void (*real)(int, float *, size_t, const void *, const void *, int, int);
    if (fault_is("everywhere")) raise(SIGSEGV);
    if (!real) real = hidden(__func__, __builtin_return_address(0));
    real(n, s, bs, vx, vy, nr, nc);
}
