using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing.Quirks;

/// <summary>
/// The products [T, 2K] of all tokens are read as [2, T, K]: the halves of token t are half t mod 2 of token t/2 and half (T + t) mod 2 of token
/// (T + t)/2, so that a token sees later ones (transformers modeling_doge.py, kept there for its checkpoints).
/// </summary>
static class PooledKeys
{
    /// <param name="products">[T, 2K].</param>
    public static Tensor Read(Tape tape, Tensor products)
    {
        int tokens = products.Rows, keys = products.Columns / 2;
        var ids = new int[tokens * 2 * keys];
        for (var i = 0; i < ids.Length; i++)
        {
            int token = i / (2 * keys), half = i / keys % 2;
            ids[i] = (half * tokens + token) * keys + i % keys;
        }
        return tape.GatherElements(products, ids, tokens, 2 * keys);
    }
}
