// CUDA C++ on a CPU: blocks run one after another, their threads as fibres that change at every barrier.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <ucontext.h>
#include <utility>
#include <vector>

#define KERNELS_SINGLE
#define KERNELS_EXACT
#define KERNELS_ROUNDED
#define KERNELS_LOG
#define KERNELS_WATCHED
#define KERNELS_LANES
#define KERNELS_HALVES
#define KERNELS_OTHER

struct Triple { unsigned x, y, z; };
static Triple threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__
#define __shared__ static
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(threads)

static inline double __longlong_as_double(long long bits) { double x; memcpy(&x, &bits, 8); return x; }
static inline long long __double_as_longlong(double x) { long long bits; memcpy(&bits, &x, 8); return bits; }
static inline double __hiloint2double(int high, int low) {
    return __longlong_as_double((long long)(((unsigned long long)(unsigned)high << 32) | (unsigned)low));
}
static inline float fma_single(float a, float b, float c) { return fmaf(a, b, c); }
static inline float add_single(float a, float b) { return a + b; }
static inline float subtract_single(float a, float b) { return a - b; }
static inline float multiply_single(float a, float b) { return a * b; }
static inline float divide_single(float a, float b) { return a / b; }
static inline double widened(float x) { return x; }
static inline float narrowed(double x) { return (float)x; }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
template <class T> static inline void atomicAdd(T *place, T value) { *place += value; }

// A product of two halves is exact in float64, and its sum with a half, rounded there, rounds to half as once.
static inline double double_of_half(unsigned short h) { _Float16 x; memcpy(&x, &h, 2); return (double)x; }
static inline unsigned short half_of_double(double x) { _Float16 y = (_Float16)x; unsigned short h; memcpy(&h, &y, 2); return h; }
static inline unsigned fma_half2(unsigned a, unsigned b, unsigned c) {
    unsigned low = half_of_double(fma(double_of_half(a), double_of_half(b), double_of_half(c)));
    unsigned high = half_of_double(fma(double_of_half(a >> 16), double_of_half(b >> 16), double_of_half(c >> 16)));
    return low | high << 16;
}

// A card could flush what is subnormal after it was rounded with the subnormal numbers' step: not our rule.
static inline unsigned fma_half2_flushing(unsigned a, unsigned b, unsigned c) {
    unsigned result = fma_half2(a, b, c);
    if ((result & 0x7FFF) < 0x0400) result &= 0xFFFF8000u;
    if ((result >> 16 & 0x7FFF) < 0x0400) result &= 0x8000FFFFu;
    return result;
}

static inline unsigned least_halves(unsigned a, unsigned b) {
    unsigned result = 0;
    for (int shift = 0; shift < 32; shift += 16) {
        unsigned x = a >> shift & 0xFFFF, y = b >> shift & 0x7FFF;
        result |= (y > 0x7C00 || x < y ? x : y) << shift;  // patterns of numbers without a sign are ordered
    }
    return result;
}

// ------------------------------------------------------------------------------------------------- fibres

static ucontext_t scheduler;
static std::vector<ucontext_t> fibres;
static std::vector<char> stacks;
static std::vector<char> finished;
static unsigned current;
static std::vector<char> dynamic_shared;
static void (*body)(void *);
static void *body_arguments;
static const size_t STACK = 1 << 16;

static void __syncthreads() { swapcontext(&fibres[current], &scheduler); }

static void enter() {
    body(body_arguments);
    finished[current] = 1;
    swapcontext(&fibres[current], &scheduler);
}

static void run_block(unsigned threads) {
    fibres.resize(threads);
    finished.assign(threads, 0);
    stacks.resize(threads * STACK);
    for (unsigned t = 0; t < threads; t++) {
        getcontext(&fibres[t]);
        fibres[t].uc_stack.ss_sp = &stacks[t * STACK];
        fibres[t].uc_stack.ss_size = STACK;
        fibres[t].uc_link = &scheduler;
        makecontext(&fibres[t], enter, 0);
    }
    for (unsigned left = threads; left;) {
        left = 0;
        for (unsigned t = 0; t < threads; t++) {
            if (finished[t]) continue;
            current = t;
            threadIdx = {t, 0, 0};
            swapcontext(&scheduler, &fibres[t]);
            left += !finished[t];
        }
    }
}

template <class... Parameters, size_t... Places>
static void call(void (*kernel)(Parameters...), void **arguments, std::index_sequence<Places...>) {
    kernel(*(Parameters *)arguments[Places]...);
}

template <class... Parameters>
static void launch(void (*kernel)(Parameters...), const unsigned *grid, unsigned threads, void **arguments,
                   size_t shared_bytes) {
    typedef void (*Kernel)(Parameters...);
    static Kernel chosen;
    chosen = kernel;
    dynamic_shared.assign(shared_bytes + 16, (char)0xA5);
    body_arguments = arguments;
    body = [](void *given) { call(chosen, (void **)given, std::index_sequence_for<Parameters...>()); };
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    for (unsigned z = 0; z < grid[2]; z++)
        for (unsigned y = 0; y < grid[1]; y++)
            for (unsigned x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                run_block(threads);
            }
}
