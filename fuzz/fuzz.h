/* What the fuzz targets share. A target turns bytes into Lua values and calls what it tests with them; run.c holds the Lua
 * state and the rules that hold for every call, value.c makes the values. A finding ends the process.
 *
 * The first byte of every input says when memory runs out: FZ_PLENTY and above: never; n: each call under test is refused
 * its n-th piece of memory and all that follow. */
#ifndef FZ_FUZZ_H
#define FZ_FUZZ_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FZ_PLENTY 64

typedef struct fz_bytes {
  const uint8_t *p;
  size_t left;
} fz_bytes;

/* The next byte, 0 where none is left; the same below n. */
unsigned fz_byte(fz_bytes *in);
unsigned fz_below(fz_bytes *in, unsigned n);

/* ---- run.c ---- */

/* What a target provides. */
extern const char *const fz_target;      /* its name: support.open[name] opens what it needs, as globals */
void fz_one(lua_State *L, fz_bytes *in); /* one input; leaves the stack as it was */

/* Tells what is wrong and aborts. */
_Noreturn void fz_finding(const char *fmt, ...);
#define FZ_CHECK(ok, ...) ((ok) ? (void)0 : fz_finding(__VA_ARGS__))

/* A pcall of what is under test. False where it raised as it may: one line of misuse, what a function of the input raised, or
 * no memory where memory is short; the error is popped. No metamethod of the input's tables may run. */
bool fz_call(lua_State *L, int nargs, int nresults);

/* The text of the last error that fz_call caught. */
const char *fz_error(void);

/* No memory is refused from now on in this input. */
void fz_plenty(void);

/* Calls the function field `name` of the object at `idx` with the `nargs` values on top of the stack. */
bool fz_method(lua_State *L, int idx, const char *name, int nargs, int nresults);

/* Calls a function of support.lua, which must not fail, with the `nargs` values on top. */
void fz_lua(lua_State *L, const char *name, int nargs, int nresults);

/* ---- value.c ---- */

/* Whether a function or finalizer of the input has changed one of its tables: what was read cannot be compared then. */
extern bool fz_changed;
extern unsigned fz_metamethods; /* calls of metamethods of the input's tables */

void fz_value(lua_State *L, fz_bytes *in);  /* any value */
void fz_string(lua_State *L, fz_bytes *in); /* any string */

/* A value of a kind, or now and then any value:
 *   s bytes or nil   t topic   p partition   o offset   T timestamp or nil   n a count   S no seconds   f function
 *   h headers        H well-formed headers   r rows     c column names       m rows, messages and batches
 * and a capital L before a kind makes a list of it. */
void fz_kind(lua_State *L, fz_bytes *in, const char *kind);

/* A table with some of these fields; the list ends with {NULL, NULL}. */
typedef struct fz_field {
  const char *name, *kind;
} fz_field;
void fz_fields(lua_State *L, fz_bytes *in, const fz_field *fields);

/* Before each input. */
void fz_values_reset(lua_State *L);

#endif
