/* What kinds of neurons keep beside the state of an IFCurrExp, and what it does in a step.
 *
 * A kind that is added has its numbers here, a bit of `own_states`, a function for the current that its state takes from
 * the membrane's, and a line in each of the last two functions. Numbers and order are those of programs.py; the equations
 * are those of reference_neurons.py. general_native.c includes the numbers, and general_steps.h the functions, once for
 * each kind of processor.
 */

#ifndef OWN_STATES_H
#define OWN_STATES_H

enum { ADAPTATION = OWN, ADAPTATION_DECAY, ADAPTATION_STEP, FIELDS };
enum { ADAPTS = 1 };

#else

/* Adaptation currents fade. */
INLINED V NAME(adaptation)(int32_t *s)
{
    VECTOR(s + ADAPTATION * BLOCK) = NAME(kmul)(VECTOR(s + ADAPTATION * BLOCK), CONSTANT(s + ADAPTATION_DECAY * BLOCK));
    return VECTOR(s + ADAPTATION * BLOCK);
}

/* What own states take is taken from the constant currents. */
INLINED void NAME(own_currents)(const struct neurons *all)
{
    for (int64_t j = 0; j < all->n; j += LANES) {
        int32_t *s = all->state + (j / BLOCK) * FIELDS * BLOCK + j % BLOCK;
        V left = CONSTANT(s + OFFSET * BLOCK);
        if (all->own_states & ADAPTS)
            left -= NAME(adaptation)(s);
        VECTOR(s + I_OFFSET * BLOCK) = left;
    }
}

/* What the spike of a neuron adds to its own state; numbers of other kinds are 0. */
INLINED void NAME(own_spike)(int32_t *s)
{
    s[ADAPTATION * BLOCK] += s[ADAPTATION_STEP * BLOCK];
}

#endif
