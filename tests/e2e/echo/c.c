#include "sdk/crossdock.h"

bool cd_to_canonical(const cd_context *context, const cd_document *document, cd_mapped *mapped, cd_refusal *refusal) {
    (void)context, (void)document, (void)mapped;
    cd_error(refusal, "no-good", CD("it is no good"));
    return false;
}

bool cd_acknowledge(const cd_context *context, const cd_outcome_list *outcomes, mapper_option_document_t *document, cd_refusal *refusal) {
    (void)refusal;
    cd_text all = cd_join(&context->receiver, &CD("\n"), NULL), blank = CD(" "), end = CD("\n"), comma = CD(",");
    for (size_t i = 0; i < outcomes->len; i++) {
        const crossdock_mapper_types_outcome_t *ended = &outcomes->ptr[i];
        cd_text length = cd_decimal_of((long long)ended->part.envelope.len);
        cd_text accepted = ended->accepted ? CD("true") : CD("false");
        all = cd_join(&all, &ended->part.unit, &blank, &length, &blank, &accepted, &blank, &ended->more.ptr[0].f1, &blank, NULL);
        for (size_t n = 0; n < ended->diagnostics.len; n++)
            all = cd_join(&all, n ? &comma : &(cd_text){0}, &ended->diagnostics.ptr[n].code, NULL);
        all = cd_join(&all, &end, NULL);
    }
    document->is_some = true;
    document->val.media_type = CD("text/plain");
    document->val.content = (mapper_list_u8_t){all.ptr, all.len};
    return true;
}
