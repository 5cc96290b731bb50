// An allocator for an instance that lives for one message: it takes from the end and never gives back.
//
// The instance's memory is dropped whole after the message, so freeing is time lost. This one begins in the pages
// that the module has anyway and doubles them when they are used up. It stands in for the C library's.

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAGE 65536u
#define ALIGN 16u

extern unsigned char __heap_base; // where the linker's data and stack end
static uintptr_t next;            // the next free byte; zero before the first allocation

static void *take(size_t align, size_t bytes) {
    if (!next) next = (uintptr_t)&__heap_base;
    // The block's size lies before it, for realloc.
    uintptr_t block = (next + sizeof(size_t) + align - 1) & ~(uintptr_t)(align - 1);
    uint64_t end = (uint64_t)block + bytes;
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > have) {
        size_t missing = (size_t)((end - have + PAGE - 1) / PAGE), pages = __builtin_wasm_memory_size(0);
        if (__builtin_wasm_memory_grow(0, missing > pages ? missing : pages) == SIZE_MAX &&
            __builtin_wasm_memory_grow(0, missing) == SIZE_MAX)
            return NULL;
    }
    next = (uintptr_t)end;
    ((size_t *)block)[-1] = bytes;
    return (void *)block;
}

void *malloc(size_t bytes) { return take(ALIGN, bytes); }

void free(void *block) { (void)block; }

void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    void *block = take(ALIGN, bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void *realloc(void *block, size_t bytes) {
    if (!block) return malloc(bytes);
    size_t had = ((size_t *)block)[-1];
    if (bytes <= had) return block;
    // The newest block grows where it is, as far as there is memory.
    uint64_t end = (uint64_t)(uintptr_t)block + bytes;
    if ((uintptr_t)block + had == next && end <= (uint64_t)__builtin_wasm_memory_size(0) * PAGE) {
        next = (uintptr_t)end;
        ((size_t *)block)[-1] = bytes;
        return block;
    }
    void *larger = malloc(bytes);
    return larger ? memcpy(larger, block, had) : NULL;
}

void *aligned_alloc(size_t align, size_t bytes) { return take(align < ALIGN ? ALIGN : align, bytes); }

int posix_memalign(void **block, size_t align, size_t bytes) {
    *block = aligned_alloc(align, bytes);
    return *block ? 0 : ENOMEM;
}
